"""The checkpoint that an interrupted run goes on from."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

OVER = "training_is_over"


class LastCheckpoint(pl.Callback):
    """Writes FOLDER/last.ckpt at the end of every epoch and, within one, when `seconds` have passed since the last
    time.

    Must stand last among the callbacks: what the others do at the end of a batch or epoch has to be in the file. A
    `ModelCheckpoint`, which Lightning moves behind this one, has to save when validation ends.
    """

    def __init__(self, folder: Path, seconds: float = 60.0) -> None:
        if seconds < 0:
            raise ValueError(f"seconds is {seconds}; checkpoints are some time apart, 0 writes one after every step")
        self.path, self.seconds = folder / "last.ckpt", seconds
        self.written = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between optimizer steps gradients are accumulated and no checkpoint would hold them, so none is written
        there."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        due = time.monotonic() - self.written >= self.seconds
        if trainer.strategy.broadcast(due) and stepped and not trainer.is_last_batch:
            self._write(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After validation."""
        self._write(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Whether training was over: a run killed while it was tested must not train an epoch more than another."""
        checkpoint[OVER] = trainer.should_stop

    def _write(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self.written = time.monotonic()
