"""An exponential moving average of what trains, evaluated and kept in place of the last step's weights.

Lightning's own averaging copies the whole model, frozen language model included, and saves it whole; this one holds the
trainable tensors alone.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from lightning_modules.interest_module import InterestModule


class Ema(pl.Callback):
    """average <- decay * average + (1 - decay) * weights after every optimizer step (Polyak & Juditsky 1992).

    The decay is at most (1 + step) / (10 + step), so that early averages do not remember the start. Validation runs on
    the average, which stays in the model until training goes on: so every checkpoint's `state_dict` is the average,
    also where it is of weights alone, about which no callback is asked. The running weights travel beside it, for a
    resume. Mean and cuts are those of the averaged model. Outside of `fit` the model is evaluated as it is.

    Raises ValueError beside a strategy that changes weights after a step (AdaLoRA sets singular values to zero): the
    average would bring them back, and be another model than the strategy's.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"decay is {decay}; a moving average decays by a factor between 0 and 1")
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.running: dict[str, Tensor] = {}  # the weights, while the average is in their place
        self.step = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start from the weights; a resumed run has loaded its average already."""
        if isinstance(pl_module, InterestModule) and pl_module.model.encoder.plan.after_step is not None:
            raise ValueError("callbacks=ema averages away what this strategy does after a step: use callbacks=default")
        if not self.average:
            self.average = {name: p.detach().clone() for name, p in _trained(pl_module)}

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average, once for each optimizer step."""
        if trainer.global_step == self.step:
            return
        self.step = trainer.global_step
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        for name, parameter in _trained(pl_module):
            self.average[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Average in, weights out."""
        if trainer.state.fn is TrainerFn.FITTING and not self.running:
            for name, parameter in _trained(pl_module):
                self.running[name] = parameter.detach().clone()
                parameter.copy_(self.average[name])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Weights in: training goes on."""
        self._go_on(pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Weights in: training is over."""
        self._go_on(pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """The average takes the weights' place in the checkpoint."""
        if self.average:
            weights = self.running or checkpoint["state_dict"]
            checkpoint["running_weights"] = {name: weights[name] for name in self.average}
            checkpoint["state_dict"] = checkpoint["state_dict"] | self.average
            checkpoint["ema_step"] = self.step

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Going on with training: the average back into this callback, the running weights back into the model."""
        if trainer.training and "running_weights" in checkpoint:
            running = checkpoint["running_weights"]
            self.average = {name: checkpoint["state_dict"][name].to(pl_module.device).clone() for name in running}
            self.step = checkpoint["ema_step"]
            pl_module.load_state_dict(running, strict=False)

    @torch.no_grad()
    def _go_on(self, pl_module: pl.LightningModule) -> None:
        for name, parameter in _trained(pl_module) if self.running else ():
            parameter.copy_(self.running.pop(name))


def _trained(module: pl.LightningModule) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
