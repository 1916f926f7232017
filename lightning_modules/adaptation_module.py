"""The LightningModule that teaches a language model the words of a corpus; thin."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from datamodules.types import Ragged
from lightning_modules.adaptation import Adaptation, WordModel
from lightning_modules.clipping import clip
from lightning_modules.finite import require_finite
from lightning_modules.step_count import total_steps


@runtime_checkable
class Texts(Protocol):
    """Batches of texts: those to train on, for one of `world` processes, and those that are held out."""

    def training(self, rank: int, world: int) -> Iterable[Ragged]: ...

    def held_out(self) -> Iterable[Ragged]: ...

    def steps_per_epoch(self, world: int) -> int: ...


class AdaptationModule(pl.LightningModule):
    """Trains all of a language model, head included, and measures it on texts that it never trained on.

    optimizer: parameter groups -> optimizer; biases, norms and other vectors do not decay. scheduler: (optimizer,
    total_steps) -> schedule. Held-out texts are few, so that every process reads all of them; the words that are asked
    for there are the same each time. measured: what the last pass over them found.
    """

    def __init__(
        self,
        words: WordModel,
        adaptation: Adaptation,
        texts: Texts,
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        scheduler: Callable[..., LRScheduler],
    ) -> None:
        super().__init__()
        self.words, self.adaptation, self.texts = words, adaptation, texts
        self.optimizer_for, self.scheduler_for = optimizer, scheduler
        self.model = words.model.train()  # loaded in eval mode, in which Lightning would leave it
        self.measured: dict[str, float] = {}
        self.steps = 0  # of the whole run, known when it begins
        self._loss, self._count = 0.0, 0

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Two groups: what decays, and what does not."""
        parameters = list(self.parameters())
        decaying = [p for p in parameters if p.ndim > 1]
        others = {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}
        optimizer = self.optimizer_for([{"params": decaying}, others])
        self.steps = total_steps(self.trainer, self.texts.steps_per_epoch(self.trainer.world_size))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler_for(optimizer, total_steps=self.steps), "interval": "step"},
        }

    def train_dataloader(self) -> Iterable[Ragged]:
        """Texts of this process."""
        return self.texts.training(self.trainer.global_rank, self.trainer.world_size)

    def val_dataloader(self) -> Iterable[Ragged]:
        """The held-out texts."""
        return self.texts.held_out()

    def training_step(self, texts: Ragged, batch_idx: int) -> Tensor:
        """Mean loss of the words that are asked for."""
        loss = self.adaptation.predict(self.words, texts).mean
        require_finite(loss.detach(), f"the training loss at step {self.global_step}")
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True)
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """See `clipping`."""
        clip(self, optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_validation_epoch_start(self) -> None:
        """Nothing has been asked yet."""
        self._loss, self._count = 0.0, 0

    def validation_step(self, texts: Ragged, batch_idx: int) -> None:
        """Ask for the same words of a batch each time."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(batch_idx)
            found = self.adaptation.predict(self.words, texts)
        self._loss += float(require_finite(found.loss, f"the loss of held-out batch {batch_idx}"))
        self._count += int(found.count)

    def on_validation_epoch_end(self) -> None:
        """Loss and perplexity of a word, over all that were asked for. Raises ValueError where that was none."""
        if not self._count:
            raise ValueError("no word of the held-out texts was asked for: hold out more (corpus.held_out)")
        loss = self._loss / self._count
        self.measured = {"valid/loss": loss, "valid/perplexity": math.exp(loss)}
        self.log_dict(self.measured)
