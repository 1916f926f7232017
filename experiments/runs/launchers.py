"""What Hydra's launchers are asked, whichever it is."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from experiments.config.check import ConfigError
from experiments.config.hardware import ALL, cores, may_use_gpus
from experiments.config.precision import MEASURED
from experiments.config.ranker import trains
from experiments.config.signature import TargetError
from experiments.runs.provenance import ROOT

PLUGINS = ROOT / "experiments" / "plugins"
JOBS = "INTERESTLAB_JOBS"
"""Tells each job how many the sweep has."""


def find_plugins() -> None:
    """Let Hydra find our launcher, here and in processes that a launcher starts: it takes plugins of the namespace
    hydra_plugins alone, of which every folder of that name on the path is a part."""
    place = str(PLUGINS)
    if place not in sys.path:
        sys.path.append(place)
    inherited = os.environ.get("PYTHONPATH", "")
    if place not in inherited.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [inherited, str(ROOT), place]))


def jobs_at_a_time(launcher: DictConfig) -> int:
    """How many jobs a launcher runs at a time on one machine; joblib's -1 means one per core, Ray's as many as its CPUs
    allow, submitit_local's all of the sweep. Slurm's are asked on their machines, job by job, where each has its own
    cores."""
    if "resources" in launcher:
        return max(int((launcher.init.num_cpus or cores()) // (launcher.resources.num_cpus or 1)), 1)
    if launcher.get("_target_", "").endswith(".LocalLauncher"):
        return int(os.environ.get(JOBS, "1"))
    jobs = int(launcher.get("n_jobs", 1))
    return jobs if jobs > 0 else cores()


def require_decided(jobs: Iterable[Mapping[str, Any]], launcher: DictConfig) -> None:
    """Raise `ConfigError` where jobs run on other machines and leave to the hardware what is part of a run's id.

    This machine, often one without a GPU, names the runs of a sweep; each job names its own again where it runs, and
    the manifest would hold runs that nobody makes.
    """
    place = _elsewhere(launcher)
    asked = dict(said for config in jobs for said in _undecided(config)) if place else {}
    if asked:
        told = f"depends on the hardware, and {place} runs the jobs on other machines than this one"
        so = "then they make other runs than the sweep names here"
        raise ConfigError([f"{', '.join(asked)}: {told}; {so}; say it: {' '.join(asked.values())}"])


def _elsewhere(launcher: DictConfig) -> str:
    """Who runs jobs on other machines: Slurm, or a Ray that runs already; "" where they run on this one."""
    if launcher.get("_target_", "").endswith(".SlurmLauncher"):
        return "Slurm"
    if "resources" not in launcher:
        return ""
    address = (launcher.init or {}).get("address") or os.environ.get("RAY_ADDRESS") or "local"
    return "" if address == "local" else f"Ray at {address}"


def _undecided(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is asked of the trainer that is decided where it runs, with what to say in its place."""
    try:
        trainer = (config.get("trainer") or {}) if trains(config) else None
    except TargetError:  # the plan tells of it, as the job's row
        return
    if trainer is None:
        return
    gpus, precision = may_use_gpus(trainer.get("accelerator", "auto")), trainer.get("precision", "auto")
    if precision == "fastest" or (precision in MEASURED and gpus):  # auto on a CPU is 32-true on every one
        yield f"trainer.precision={precision}", "trainer.precision=bf16-mixed (or 32-true)"
    if gpus and (devices := trainer.get("devices", 1)) in ALL:
        yield f"trainer.devices={devices}", "trainer.devices=1"
