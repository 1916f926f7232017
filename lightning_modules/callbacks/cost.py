"""What a run costs: time, memory, parameters, operations, energy."""

import time
from statistics import median
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.trainer.states import TrainerFn

from lightning_modules.costs.energy import EnergyMeter, counters
from lightning_modules.costs.flops import FlopCounter
from lightning_modules.costs.memory import peak_memory

READ_SECONDS = 60.0
"""Energy counters begin again after some minutes, so they are read this often."""


class Cost(pl.Callback):
    """Measures training without its first epoch (which compiles and warms up), and the test pass.

    seconds_per_epoch: median of the epochs after the first (of the first where there is no other), validation left out.
    seconds_per_validation: median of the passes within training.
    flops_per_step: of the first optimizer step of this process, see `FlopCounter`; of one process of several.
    energy_joules: of training with its validation, see `EnergyMeter`; None where the machine cannot tell.
    seconds: of earlier attempts, each from the making of its `Cost` to its last checkpoint; whoever times the whole run
    adds the present one. What came before or behind that is made again, so together they are one run's.
    Memory: see `peak_memory`. What was measured travels in the checkpoint, so a resumed run counts all its epochs; one
    that was interrupted is counted and not timed.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.validations: list[float] = []
        self.finished = 0
        self.flops: int | None = None
        self.joules: float | None = None
        self.before = 0.0
        self.validating = 0.0
        self.tested = 0.0
        self._epoch = self._pass = self._read = 0.0
        self._counter: FlopCounter | None = None
        self._meter: EnergyMeter | None = None
        self._earlier: float | None = 0.0
        self._made = time.perf_counter()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Energy counts from here."""
        self._meter = EnergyMeter(counters())

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A new epoch's clock."""
        self._epoch, self.validating = time.perf_counter(), 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the first batch, whose epoch is not timed."""
        if self.flops is None:
            self._counter = FlopCounter()
            self._counter.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step is as many batches as are accumulated."""
        if self._counter is not None:
            self.flops = self._stopped() * trainer.accumulate_grad_batches
        if time.perf_counter() - self._read > READ_SECONDS:
            self._read_energy()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave no counting behind."""
        self._stopped()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation is not training time."""
        self._pass = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation is not training time."""
        took = time.perf_counter() - self._pass
        self.validating += took
        if trainer.state.fn == TrainerFn.FITTING:
            self.validations.append(took)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the epoch's time, unless this process did not see its start."""
        self.finished += 1
        if self._epoch:
            self.epochs.append(time.perf_counter() - self._epoch - self.validating)
        self._epoch = 0.0
        self._read_energy()

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far."""
        kept = {"epochs": list(self.epochs), "validations": list(self.validations), "finished": self.finished}
        seconds = self.before + time.perf_counter() - self._made
        return kept | {"flops": self.flops, "joules": self.joules, "seconds": seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there. What a checkpoint of an older version does not tell is not known of the whole run, but for
        its time, which was that of its epochs at least."""
        self.epochs, self.validations = list(state["epochs"]), list(state.get("validations", ()))
        self.finished = state["finished"]
        self.flops, self.joules = state.get("flops"), state.get("joules")
        self.before = state.get("seconds", sum(self.epochs) + sum(self.validations))
        self._earlier = self.joules

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The test pass with its encoding of the catalogue."""
        self._pass = time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The test pass ends."""
        self.tested = time.perf_counter() - self._pass

    def summary(self, module: pl.LightningModule, queries: int) -> dict[str, float | None]:
        """The numbers for `result.json`; None where nothing was measured."""
        parameters = list(module.parameters())
        total = sum(p.numel() for p in parameters)
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        settled = self.epochs[1:] or self.epochs
        return {
            "trainable_parameters": trained,
            "total_parameters": total,
            "trainable_share": trained / total,
            **peak_memory(),
            "seconds_per_epoch": median(settled) if settled else None,
            "seconds_per_validation": median(self.validations) if self.validations else None,
            "flops_per_step": self.flops,
            "energy_joules": self.joules,
            "queries_per_second": queries / self.tested if self.tested else None,
            "epochs": self.finished,
            "seconds": self.before,
        }

    def _stopped(self) -> int:
        """What was counted, 0 where nothing was."""
        counter, self._counter = self._counter, None
        if counter is None:
            return 0
        counter.__exit__(None, None, None)
        return counter.flops

    def _read_energy(self) -> None:
        drawn = None if self._meter is None else self._meter.joules()
        self.joules = None if drawn is None or self._earlier is None else self._earlier + drawn
        self._read = time.perf_counter()
