"""What Hydra's launchers are asked, whichever it is."""

import os
import sys

from omegaconf import DictConfig

from experiments.config.hardware import cores
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
