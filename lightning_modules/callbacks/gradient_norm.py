"""The length of the gradient before clipping, as a curve."""

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer


class GradientNorm(pl.Callback):
    """Logs `train/gradient_norm`, the 2-norm over everything that trains, at the optimizer steps that are logged."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if (trainer.global_step + 1) % pl_module.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            norms = [p.grad.norm() for p in pl_module.parameters() if p.grad is not None]
            pl_module.log("train/gradient_norm", torch.stack(norms).norm())
