"""A sweep is a small manifest beside its runs: its name, its grid, and every job of it before the first one starts."""

import os
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from datamodules.storage import digest
from experiments.config.check import ConfigError
from experiments.config.compose import as_config_error
from experiments.config.identity import neutral
from experiments.runs.folder import RunFolder
from experiments.runs.launchers import JOBS, jobs_at_a_time
from experiments.runs.outlook import foretell
from experiments.runs.plan import Plan, plan

VARIABLE = "INTERESTLAB_SWEEP"
"""Tells each job the sweep's name (W&B's group), whichever launcher starts it."""


class SweepManifest(Callback):
    """Hydra's callback of a multirun: writes RUNS/sweeps/NAME.json at the start, prints its path at the end.

    The grid is that of Hydra's basic sweeper, with any launcher. A job that does not compose ends the sweep before it
    starts; one whose data cannot be used stands with its error, and the others run.
    """

    def __init__(self) -> None:
        self.manifest = Path()
        self.folders: list[RunFolder | None] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Name every job and write the manifest."""
        try:
            self._begin(config)
        except Exception as error:
            traceback.print_exc()  # Hydra would make a warning of it and run the jobs
            raise SystemExit(1) from error

    def _begin(self, config: DictConfig) -> None:
        loader = GlobalHydra.instance().config_loader()
        params = config.hydra.sweeper.params or {}
        grid = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
        jobs = expand(grid, loader)
        composed = [_compose(loader, config, job) for job in jobs]
        refused = [(job, made) for job, made in zip(jobs, composed, strict=True) if isinstance(made, ConfigError)]
        if refused:
            raise SystemExit("\n".join(f"error: {' '.join(job)}: {fault}" for job, fault in refused))
        whole = [made for made in composed if isinstance(made, DictConfig)]
        name = whole[0].name or f"sweep-{grid_digest(config.hydra.job.config_name, grid)}"
        os.environ.update({VARIABLE: name, JOBS: str(len(jobs))})
        if whole[0].get("dry_run"):
            self._foretell(whole, jobs, config)
        entries = [self._entry(job, made) for job, made in zip(jobs, whole, strict=True)]
        store = RunFolder(Path(whole[0].runs_dir).expanduser().absolute() / "sweeps")
        store.write(f"{name}.json", {"name": name, "overrides": grid, "runs": entries})
        self.manifest = store.path / f"{name}.json"

    def _foretell(self, whole: Sequence[DictConfig], jobs: Sequence[list[str]], config: DictConfig) -> NoReturn:
        """Say what would run, and run nothing."""
        planned = [(tuple(job), self._plan(made)) for job, made in zip(jobs, whole, strict=True)]
        settings = next((made.config for _, made in planned if isinstance(made, Plan)), {})
        foretell(planned, settings, jobs_at_a_time(config.hydra.launcher))
        raise SystemExit(0)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Say how it went; exit status 1 unless every job is done."""
        states = [
            folder.read("result.json").get("status", "unfinished") if folder else "failed" for folder in self.folders
        ]
        done = states.count("done")
        print(
            f"{done} of {len(states)} runs are done" + (f", {len(states) - done} are not" if done < len(states) else "")
        )
        print(self.manifest)
        if done < len(states):
            raise SystemExit(1)

    def _entry(self, job: list[str], composed: DictConfig) -> dict[str, Any]:
        planned = self._plan(composed)
        if not isinstance(planned, Plan):
            self.folders.append(None)
            return {"id": None, "overrides": job, "error": planned}
        self.folders.append(planned.folder)
        return {"id": planned.folder.id, "overrides": job}

    @staticmethod
    def _plan(composed: DictConfig) -> Plan | str:
        """The job's plan, or why there is none."""
        try:
            job_config = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
            return plan(job_config, composed.hydra)
        except Exception as error:  # noqa: BLE001  # Hydra would turn it into a warning; it is the job's row in the table
            return f"{type(error).__name__}: {error}"


def expand(grid: Iterable[str], loader: ConfigLoader) -> list[list[str]]:
    """The jobs of a grid such as ["head=graph,dot", "seed=0,1"], as Hydra's basic sweeper makes them."""
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(grid))
    return [list(job) for job in BasicSweeper.split_arguments(parsed, None)[0]]


def grid_digest(config_name: str, grid: Iterable[str]) -> str:
    """8 characters that name a grid; folders, loggers and `rerun` do not count, nor does the order of words."""
    return digest([config_name, sorted(word for word in grid if not neutral(word.lstrip("+~").partition("=")[0]))])[:8]


def _compose(loader: ConfigLoader, master: DictConfig, job: list[str]) -> DictConfig | ConfigError:
    try:
        with as_config_error():
            return loader.load_sweep_config(master, job)
    except ConfigError as fault:
        return fault
