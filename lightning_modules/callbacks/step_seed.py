"""Randomness that a resumed run finds again.

Dropout draws from torch's global generator, whose state at an interruption is lost with the process. Seeding it anew at
every micro-batch by (seed, epoch, batch, rank) makes each step's draws a function of its place; nothing has to be
saved. By optimizer step instead of batch, accumulated micro-batches would share their masks.
"""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch


class StepSeed(pl.Callback):
    """Seeds torch before every micro-batch of training."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        place = [self.seed, trainer.current_epoch, batch_idx, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> np.uint64(1)))
