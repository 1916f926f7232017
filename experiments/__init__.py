"""The programs, and for notebooks what opens a run."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.loading import LoadedRun


def load(run_dir: str | Path, checkpoint: str | Path | None = None) -> "LoadedRun":
    """A run that was trained: model, data, results, recommend and explain; see `experiments.loading.load`."""
    from experiments.loading import load as opened  # imports torch, which programs that only plan runs do without

    return opened(run_dir, checkpoint)
