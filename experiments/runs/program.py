"""What the programs that make runs share: one job each time that Hydra calls, and how they end."""

import os
import sys
import traceback
from collections.abc import Callable

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from experiments.config.check import ConfigError
from experiments.config.compose import as_config_error
from experiments.faults import INTERRUPTED, sentence
from experiments.runs.attempt import attempt
from experiments.runs.launchers import find_plugins, jobs_at_a_time
from experiments.runs.lifeline import tie_to_parent, tie_worker
from experiments.runs.outlook import foretell
from experiments.runs.plan import plan


def make_run(config: DictConfig) -> bool:
    """One job. In a sweep a failure is reported and the next job goes on; alone it ends the program."""
    tie_worker()
    settings = HydraConfig.get()
    try:
        planned = plan(config, settings)
        if planned.config.get("dry_run"):
            foretell([(planned.overrides, planned)], planned.config, 1)
            return True
        finished = attempt(planned, _parallel(settings))
        if finished:
            print(planned.folder.path)
    except (ValueError, OSError) as fault:  # ConfigError, DataError, a source that refuses a number, a folder
        print(f"error: {sentence(fault)}", file=sys.stderr)
        finished = False
    except Exception:
        if settings.mode != RunMode.MULTIRUN:
            raise
        traceback.print_exc()
        finished = False
    if not finished and settings.mode != RunMode.MULTIRUN:
        raise SystemExit(1)
    return finished


def _parallel(settings: DictConfig) -> int:
    """How many jobs share this machine."""
    return jobs_at_a_time(settings.launcher) if settings.mode == RunMode.MULTIRUN else 1


def run_program(task: Callable[[], object]) -> None:
    """Call what `hydra.main` made. Hydra is asked to raise, so that a misspelt override reads like every other
    fault."""
    tie_to_parent()  # where a program that makes a whole table started this one
    os.environ["HYDRA_FULL_ERROR"] = "1"
    find_plugins()
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))  # Hydra wants them first
    try:
        with as_config_error():
            task()
    except (ConfigError, OSError) as fault:
        sys.exit(f"error: {sentence(fault)}")
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(INTERRUPTED)
