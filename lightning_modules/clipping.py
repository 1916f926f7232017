"""Gradient clipping, also for a fused optimizer in bfloat16."""

import pytorch_lightning as pl
from pytorch_lightning.plugins.precision.amp import MixedPrecision
from pytorch_lightning.plugins.precision.precision import Precision
from pytorch_lightning.utilities.enums import GradClipAlgorithmType
from torch.optim import Optimizer


def clip(module: pl.LightningModule, optimizer: Optimizer, value: float | None, algorithm: str | None) -> None:
    """Clip as Lightning 2.6 does, which in mixed precision refuses every fused optimizer.

    Its reason holds for float16 alone: there a fused optimizer takes the scale off the gradients within its step, so
    that before it the scaled ones would be clipped. bfloat16 has no scale. Float16 with a fused optimizer still raises;
    a configuration of both is refused before it gets here.
    """
    plugin = module.trainer.precision_plugin
    if isinstance(plugin, MixedPrecision) and plugin.scaler is None:
        Precision.clip_gradients(plugin, optimizer, value or 0.0, GradClipAlgorithmType(algorithm or "norm"))
    else:
        module.clip_gradients(optimizer, value, algorithm)
