"""Runs in MLflow: one run there for each folder here, gone on with when the folder is resumed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers.logger import DummyExperiment, rank_zero_experiment
from pytorch_lightning.loggers.mlflow import MLFlowLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from datamodules.storage import atomic_write, lease
from experiments.config.leaves import flatten
from experiments.tracking.harmless import Losable, unless_lost

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

VALUE_LIMIT = 6000  # characters of a parameter's value; MLflow refuses more
BATCH = 100  # parameters of one call
KEPT = "mlflow_run.txt"
ADDRESS = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""What a server that never answers may cost, unless a person set it: MLflow's own 120 seconds and 7 retries are a
quarter of an hour."""


class MlflowLogger(Losable, MLFlowLogger):
    """Lightning's logger, with names that MLflow takes (`test/ndcg@10` is `test/ndcg_at_10` there) and a run that
    outlives a kill: its id stands in the run's folder.

    tracking_uri: a server, or a SQLite file, which several jobs of one machine may share. Where several machines share
    the disk, only a server is safe. None: what `MLFLOW_TRACKING_URI` says, else a database beside the runs' folders;
    the variable is read here, and not in YAML, for a server's address may hold a password, and YAML is kept and logged.
    """

    def __init__(self, experiment_name: str, save_dir: str, tracking_uri: str | None = None) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        self._kept = Path(save_dir, KEPT)
        self._lock: Path | None = None
        address = tracking_uri or os.environ.get(ADDRESS) or f"{SQLITE}{Path(save_dir).parent}/mlflow.db"
        self._tracking_uri, self._experiment_id, self._run_id = address, None, None
        self._open(experiment_name, address, Path(save_dir).name)

    @unless_lost("MLflow")
    def _open(self, experiment_name: str, tracking_uri: str, name: str) -> None:
        if tracking_uri.startswith(SQLITE):
            file, _, settings = tracking_uri.removeprefix(SQLITE).partition("?")
            database = Path(file).expanduser().absolute()
            database.parent.mkdir(parents=True, exist_ok=True)
            settings = settings or "timeout=60"  # seconds that a job waits for another one's write
            tracking_uri = f"{SQLITE}{database}?{settings}"
            self._lock = database.with_name(f".{database.name}.lock")
        with self._alone():
            super().__init__(experiment_name, name, tracking_uri)

    @property
    @rank_zero_experiment
    def experiment(self) -> "MlflowClient":
        """The client, once the run is there; where the store failed, one that does nothing."""
        self._begin()
        return DummyExperiment() if self.lost else self._mlflow_client

    @unless_lost("MLflow")
    def _begin(self) -> None:
        if not self._initialized:
            with self._alone():
                self._run_id = self._earlier()
                made = super().experiment
                atomic_write(self._kept, f"{self._run_id}\n")
            made.update_run(self._run_id, status="RUNNING")

    @rank_zero_only
    @unless_lost("MLflow")
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """MLflow's own name of a metric at a cutoff: `ndcg_at_10`."""
        super().log_metrics({name.replace("@", "_at_"): value for name, value in metrics.items()}, step)

    @rank_zero_only
    @unless_lost("MLflow")
    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Leaves by dotted path. What stands there stays: MLflow changes no parameter, and folders and loggers may
        differ when a run is resumed."""
        from mlflow.entities import Param

        client = self.experiment
        if self.lost:
            return
        there = client.get_run(self.run_id).data.params
        new = [Param(key, str(value)[:VALUE_LIMIT]) for key, value in flatten(params).items() if key not in there]
        for start in range(0, len(new), BATCH):
            client.log_batch(self.run_id, params=new[start : start + BATCH])

    @rank_zero_only
    @unless_lost("MLflow")
    def finalize(self, status: str = "success") -> None:
        """How the run ended."""
        super().finalize(status)

    def _earlier(self) -> str | None:
        """The run that this folder has already, unless the store lost it or somebody deleted it there."""
        from mlflow.exceptions import MlflowException

        if not self._kept.exists():
            return None
        run_id = self._kept.read_text(encoding="utf-8").strip()
        try:
            return run_id if self._mlflow_client.get_run(run_id).info.lifecycle_stage == "active" else None
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of jobs that begin together one makes the database's tables and the experiment."""
        if self._lock is None:
            yield
        else:
            with lease(self._lock):
                yield
