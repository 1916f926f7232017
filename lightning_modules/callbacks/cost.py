"""What a run costs: time, memory, parameters."""

import resource
import sys
import time
from typing import Any

import pytorch_lightning as pl
import torch


class Cost(pl.Callback):
    """Measures training without its first epoch (which compiles and warms up), and the test pass.

    seconds_per_epoch: median of the epochs after the first (of the first where there is no other), validation left out.
    peak_memory_bytes: most allocated on a GPU, else the largest resident set of the process. What was measured travels
    in the checkpoint, so a resumed run counts all its epochs; one that was interrupted is counted and not timed.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.finished = 0
        self.validating = 0.0
        self.tested = 0.0
        self._epoch = self._pass = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A new epoch's clock."""
        self._epoch, self.validating = time.perf_counter(), 0.0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation is not training time."""
        self._pass = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation is not training time."""
        self.validating += time.perf_counter() - self._pass

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the epoch's time, unless this process did not see its start."""
        self.finished += 1
        if self._epoch:
            self.epochs.append(time.perf_counter() - self._epoch - self.validating)
        self._epoch = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Times and number of the epochs so far."""
        return {"epochs": list(self.epochs), "finished": self.finished}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.epochs, self.finished = list(state["epochs"]), state["finished"]

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The test pass with its encoding of the catalogue."""
        self._pass = time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The test pass ends."""
        self.tested = time.perf_counter() - self._pass

    def summary(self, module: pl.LightningModule, queries: int) -> dict[str, float | None]:
        """The numbers for `result.json`; None where nothing was timed."""
        parameters = list(module.parameters())
        total = sum(p.numel() for p in parameters)
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        settled = sorted(self.epochs[1:] or self.epochs)
        return {
            "trainable_parameters": trained,
            "total_parameters": total,
            "trainable_share": trained / total,
            "peak_memory_bytes": peak_memory(),
            "seconds_per_epoch": settled[len(settled) // 2] if settled else None,
            "queries_per_second": queries / self.tested if self.tested else None,
            "epochs": self.finished,
        }


def peak_memory() -> int:
    """Bytes: most allocated on the GPU in use, else the largest resident set so far."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
