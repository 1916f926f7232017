"""The LightningModule: wires a recommender, its loss and its evaluation to the trainer; thin."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from datamodules.types import Batch, Items, QueryBlock
from lightning_modules.checkpoint import frozen_digest, kept_state, require_same_model
from lightning_modules.clipping import clip
from lightning_modules.evaluation import rank
from lightning_modules.finite import require_finite
from lightning_modules.memory_retry import MemoryRetry
from lightning_modules.metrics.per_query import PerQuery
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parameter_groups import parameter_groups
from lightning_modules.recommender import Recommender
from lightning_modules.schedulers import forget_what_waits, held_back
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.step_count import total_steps
from lightning_modules.types import Loss


class InterestModule(pl.LightningModule):
    """Trains a `Recommender` on batches and ranks blocks of queries in validation and test.

    optimizer: parameter groups -> optimizer. scheduler: (optimizer, total_steps) -> schedule, moved at every optimizer
    step. items: gives the rows of the catalogue on this machine (all of them), n_items of which are candidates.
    language_model_lr: learning rate of what the strategy trains in or beside the language model, where it differs from
    the optimizer's own; pretrained weights want smaller steps than what is new.
    Checkpoints hold buffers and trainable tensors alone, with a digest of the frozen rest.
    """

    model: Recommender
    loss: Loss
    ranked: Mapping[str, PerQuery]

    def __init__(
        self,
        model: Recommender,
        loss: Loss,
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        protocol: EvaluationProtocol,
        items: Callable[[], Items],
        n_items: int,
        language_model_lr: float | None = None,
    ) -> None:
        super().__init__()
        self.strict_loading = False  # frozen tensors are not in the checkpoint; on_load_checkpoint checks instead
        self.model, self.loss = model, loss
        self.optimizer_for, self.scheduler_for, self.protocol = optimizer, scheduler, protocol
        self.items, self.n_items, self.language_model_lr = items, n_items, language_model_lr
        self.steps = 0  # of the whole run, known when it begins
        self.scorer = TrainedScorer(model, n_items)
        self.memory = MemoryRetry(model.encoder)
        self.ranked = torch.nn.ModuleDict(  # type: ignore[assignment]  # a mapping that moves with the module
            {split: PerQuery(protocol.metrics) for split in ("valid", "test")}
        )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """One group for each way of training; their union is exactly what trains."""
        optimizer = self.optimizer_for(parameter_groups(self.model))
        for group in optimizer.param_groups:
            own = self.language_model_lr if group["of_strategy"] else None
            group["lr"] = group["lr_scale"] * (group["lr"] if own is None else own)
        self.steps = self._total_steps()
        schedule = held_back(self.scheduler_for(optimizer, total_steps=self.steps), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Centre and cut by the untrained catalogue; a resumed run has both from its checkpoint."""
        if self.trainer.ckpt_path is None:
            self.model.calibrate(self._catalogue(), self.n_items)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of the batch's queries, with the strategy's regulariser where it has one; see `memory_retry`."""
        loss = self.memory.forward(partial(self._loss_of, batch))
        require_finite(loss.detach(), f"the training loss at step {self.global_step}")
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True)
        return loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Gradients of everything that trains by now."""
        given = partial(super().backward, loss, *args, **kwargs)
        self.memory.backward(given, self.parameters(), self.trainer.precision_plugin.train_step_context)
        forget_what_waits(self.trainer.optimizers)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """See `clipping`."""
        clip(self, optimizer, gradient_clip_val, gradient_clip_algorithm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """The optimizer's step, then what the strategy does after one."""
        super().optimizer_step(*args, **kwargs)
        if self.model.encoder.plan.after_step is not None:
            made = self.global_step + 1  # the trainer counts after this hook
            self.model.encoder.plan.after_step(made, self.steps)

    def on_validation_epoch_start(self) -> None:
        """Encode the catalogue once."""
        self._start("valid")

    def validation_step(self, block: QueryBlock, batch_idx: int) -> None:
        """Rank one block."""
        self.ranked["valid"].update(rank(self.scorer, block, self.n_items, self.protocol))

    def on_validation_epoch_end(self) -> None:
        """Means over all validation queries, of all processes; how much the cuts bite."""
        self.log_dict(
            {f"valid/{name}": value for name, value in self.ranked["valid"].compute().items()}, prog_bar=False
        )
        self.log_dict({f"graph/{name}": share for name, share in self.model.bite().items()}, prog_bar=False)

    def on_test_epoch_start(self) -> None:
        """Encode the catalogue once."""
        self._start("test")

    def test_step(self, block: QueryBlock, batch_idx: int) -> None:
        """Rank one block."""
        self.ranked["test"].update(rank(self.scorer, block, self.n_items, self.protocol))

    def on_test_epoch_end(self) -> None:
        """Means over all test queries, of all processes."""
        self.log_dict({f"test/{name}": value for name, value in self.ranked["test"].compute().items()})

    def table(self, split: str) -> dict[str, np.ndarray]:
        """Per-query values of the last pass over a split."""
        return self.ranked[split].table()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what cannot be had again: trainable tensors and buffers, and the digest of the rest."""
        checkpoint["state_dict"] = kept_state(self, checkpoint["state_dict"])
        checkpoint["frozen_digest"] = frozen_digest(self)
        checkpoint["chunks"] = self.memory.state_dict()
        if self.model.encoder.plan.memory is not None:
            checkpoint["strategy"] = self.model.encoder.plan.memory.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises `ValueError` where the checkpoint is another model's."""
        require_same_model(self, checkpoint)
        self.memory.load_state_dict(checkpoint.get("chunks", {}))
        if self.model.encoder.plan.memory is not None:
            self.model.encoder.plan.memory.load_state_dict(checkpoint["strategy"])

    def _loss_of(self, batch: Batch) -> Tensor:
        loss, regulariser = self.model.loss(batch, self.loss), self.model.encoder.plan.regulariser
        return loss if regulariser is None else loss + regulariser()

    def _total_steps(self) -> int:
        return total_steps(self.trainer, self.trainer.datamodule.steps_per_epoch())  # type: ignore[attr-defined]

    def _catalogue(self) -> Items:
        """All rows, read by the language model in the precision of training, which Lightning sets for steps alone; the
        model ranks by the vectors that it trained. What comes after the language model is left to the caller."""
        items = self._items()
        if items.features is not None:
            return items
        with self.trainer.precision_plugin.forward_context():
            pooled = self.model.encoder.pooled(items)
        return Items(items.ids, features=self.model.encoder.settled(pooled))

    def _items(self) -> Items:
        """All rows on the device, but for states, gigabytes of which the encoder fetches chunk by chunk."""
        items = self.items()
        return replace(self.transfer_batch_to_device(replace(items, states=None), self.device, 0), states=items.states)

    def _start(self, split: str) -> None:
        self.ranked[split].reset()
        self.scorer.prepare(self._catalogue())
