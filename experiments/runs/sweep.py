"""A sweep is a small manifest beside its runs: its name, its grid, and every job of it before the first one starts."""

import os
import sys
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
from experiments.runs.folder import RunFolder
from experiments.runs.launchers import JOBS, jobs_at_a_time, require_decided
from experiments.runs.outlook import foretell
from experiments.runs.plan import Plan, plan

VARIABLE = "INTERESTLAB_SWEEP"
"""Tells each job the sweep's name (W&B's group), whichever launcher starts it."""
UNNAMED = (
    *("name", "rerun", "dry_run", "hydra", "logger", "paths", "data_dir", "runs_dir", "cache_dir"),
    *(f"callbacks.{watches}" for watches in ("gradient_norm", "learning_rate", "progress", "startup_table")),
    *(f"trainer.{prints}" for prints in ("enable_model_summary", "enable_progress_bar", "log_every_n_steps")),
    "datamodule.num_workers",
)
"""Words, with all below them, by which no two sweeps differ. These are fewer than what no run's id has in it as words
(`identity.NEUTRAL`): a rate or a precision stands there at another place."""


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
        except ConfigError as fault:
            raise SystemExit(f"error: {fault}") from None
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
        require_decided(whole, config.hydra.launcher)
        name = whole[0].name or f"sweep-{grid_digest(config.hydra.job.config_name, grid)}"
        os.environ.update({VARIABLE: name, JOBS: str(len(jobs))})
        if whole[0].get("dry_run"):
            self._foretell(whole, jobs, config)
        entries = [self._entry(job, made) for job, made in zip(jobs, whole, strict=True)]
        store = RunFolder(Path(whole[0].runs_dir).expanduser().absolute() / "sweeps")
        _tell_of_others(store, name, entries)
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
    """8 characters that name a grid. Words of where things lie and what is told of them (`UNNAMED`) do not count, nor
    does the order of words; all others do, so two grids have one name only where they have the same jobs."""
    return digest([config_name, _naming(grid)])[:8]


def _naming(words: Iterable[str]) -> list[str]:
    """Those that count, in one order."""
    keys = {word: word.lstrip("+~").partition("=")[0] for word in words}
    below = tuple(f"{key}{sign}" for key in UNNAMED for sign in "./@")
    return sorted(word for word, key in keys.items() if key not in UNNAMED and not key.startswith(below))


def _tell_of_others(store: RunFolder, name: str, entries: Sequence[dict[str, Any]]) -> None:
    """Say on standard error which jobs a sweep of the same name had that this one has not. A job is the same by its run
    or, where that has another id by now, by its words."""
    runs = {entry["id"] for entry in entries} - {None}
    words = [_naming(entry["overrides"]) for entry in entries]
    before = store.read(f"{name}.json").get("runs", [])
    gone = [job for job in before if job.get("id") not in runs and _naming(job.get("overrides", ())) not in words]
    if gone:
        told = f"{store.path / name}.json named {len(gone)} jobs that this sweep has not, such as"
        such = f"{' '.join(gone[0].get('overrides', ()))}; it names them no longer, and their runs stay"
        print(f"name={name}: {told} {such}", file=sys.stderr)


def _compose(loader: ConfigLoader, master: DictConfig, job: list[str]) -> DictConfig | ConfigError:
    try:
        with as_config_error():
            return loader.load_sweep_config(master, job)
    except ConfigError as fault:
        return fault
