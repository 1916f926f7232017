"""Weights & Biases and TensorBoard as Lightning has them, but that no fault of theirs stops a run."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers.tensorboard import TensorBoardLogger
from pytorch_lightning.loggers.wandb import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from experiments.tracking.harmless import Losable, Nothing, unless_lost


class HarmlessWandbLogger(Losable, WandbLogger):
    """W&B may fail at the start (no service, a full disk) and in the middle, where its service dies."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run; where W&B failed, one that does nothing."""
        self._begin()
        return Nothing() if self.lost else self._experiment

    @unless_lost("Weights & Biases")
    def _begin(self) -> None:
        _ = super().experiment

    @rank_zero_only
    @unless_lost("Weights & Biases")
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """A step's metrics."""
        super().log_metrics(metrics, step)

    @rank_zero_only
    @unless_lost("Weights & Biases")
    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Into the run's configuration."""
        super().log_hyperparams(params)

    @unless_lost("Weights & Biases")
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Checkpoints that a person wants there."""
        super().after_save_checkpoint(checkpoint_callback)

    @rank_zero_only
    @unless_lost("Weights & Biases")
    def finalize(self, status: str) -> None:
        """The last checkpoints."""
        super().finalize(status)

    def give_up(self) -> None:
        """Close what was written so far, as of a run that failed: its record is not whole."""
        super().give_up()
        if self._experiment is not None:
            with suppress(Exception):
                self._experiment.finish(exit_code=1)


class HarmlessTensorBoardLogger(Losable, TensorBoardLogger):
    """TensorBoard's files may find no room."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """What writes the files; where that failed, what does nothing."""
        self._begin()
        return Nothing() if self.lost else self._experiment

    @unless_lost("TensorBoard")
    def _begin(self) -> None:
        _ = super().experiment

    @rank_zero_only
    @unless_lost("TensorBoard")
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """A step's metrics."""
        super().log_metrics(metrics, step)

    @rank_zero_only
    @unless_lost("TensorBoard")
    def log_hyperparams(
        self, params: dict[str, Any], metrics: dict[str, Any] | None = None, step: int | None = None
    ) -> None:
        """Every setting, and what came of it."""
        super().log_hyperparams(params, metrics, step)

    @rank_zero_only
    @unless_lost("TensorBoard")
    def save(self) -> None:
        """What is not written yet."""
        super().save()

    @rank_zero_only
    @unless_lost("TensorBoard")
    def finalize(self, status: str) -> None:
        """The end of the files."""
        super().finalize(status)
