"""How far a run is, for other processes to read."""

import json
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

FILE = "progress.json"


class ProgressFile(pl.Callback):
    """Writes FOLDER/progress.json when training begins, every `seconds`, and at the end of each epoch.

    epoch and step count from 0 and say how many are finished, epochs and steps how many there are at most; seconds and
    first: how long this process has trained, validation included, and the step that it began at.
    """

    def __init__(self, folder: Path, seconds: float = 5.0) -> None:
        self.path, self.seconds = folder / FILE, seconds
        self._began = self._written = 0.0
        self._first = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """This process's clock."""
        self._began, self._first = time.monotonic(), trainer.global_step
        self._write(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Now and then."""
        if time.monotonic() - self._written >= self.seconds:
            self._write(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning counts the epoch after this hook."""
        self._write(trainer, pl_module, trainer.current_epoch + 1)

    def _write(self, trainer: pl.Trainer, module: pl.LightningModule, epoch: int | None = None) -> None:
        self._written = time.monotonic()
        if not trainer.is_global_zero:
            return
        record = {
            "epoch": trainer.current_epoch if epoch is None else epoch,
            "epochs": trainer.max_epochs,
            "step": trainer.global_step,
            "steps": getattr(module, "steps", None),
            "first": self._first,
            "seconds": self._written - self._began,
        }
        # No flush to the disk: nobody's result depends on this file.
        partial = self.path.with_name(f".{FILE}")
        partial.write_text(json.dumps(record), encoding="utf-8")
        partial.replace(self.path)
