"""A run's folder, RUNS/ID, and the locks beside it.

config.json      the effective configuration, written by the parent
overrides.json   the words that led to it
provenance.json  what was known when the run began
source.diff      what the working tree added to the commit
log.txt          what the run printed, every attempt of it
error.json       the exception that ended the child; read by the parent
last.ckpt, best.ckpt, queries-*.parquet, csv/, wandb/    made by the training
epochs.json, progress.json    what it measured after each epoch, and how far it is
adapted.ckpt, language_model/    in the place of best.ckpt and queries, made by an adaptation
result.json      renamed into place last: where it says done, everything else is whole; only loggers still write
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from datamodules.storage import LeaseTaken, atomic_write, is_leased, lease
from experiments.runs.waiting import Patience

LEASES = ".leases"
ASIDE = re.compile(r"\.(?P<id>.+)-[0-9a-f]{32}")
"""Names of what `RunFolder.clear` moved aside, as it makes them."""


@dataclass(frozen=True)
class RunFolder:
    """One run on disk. The lock files lie outside the folder, so that the folder can be thrown away under a lease."""

    path: Path

    @property
    def id(self) -> str:
        """The run's name."""
        return self.path.name

    def read(self, name: str) -> Any:
        """The JSON of a file; an empty object where it is absent or was cut short by a kill."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def write(self, name: str, value: object) -> None:
        """Write JSON in one piece."""
        atomic_write(self.path / name, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")

    def claim(self, stop: Callable[[], bool] | None = None) -> AbstractContextManager[None]:
        """Held by the parent that works on this run; waits for another one, and says so. stop: see `Patience`."""
        message = f"{self.id}: another process works on this run; waiting for it"
        return _patient(self._lock("parent"), Patience(message, stop))

    def is_claimed(self) -> bool:
        """Whether a parent works on this run now, be it that its child has not begun. To look is as in
        `is_occupied`."""
        return is_leased(self._lock("parent"))

    def occupy(self) -> AbstractContextManager[None]:
        """Held by the child that writes into the folder. A killed parent frees its own lock an instant before its child
        is gone; whoever comes next waits for this one too."""
        return lease(self._lock("child"))

    def is_occupied(self) -> bool:
        """Whether a child writes into the folder now. To look keeps nobody out for longer than that, see
        `is_leased`."""
        return is_leased(self._lock("child"))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Held by who removes something of this run: neither a parent nor a child works on it meanwhile. Raises
        `LeaseTaken` at once where one does."""
        with lease(self._lock("parent"), wait=False), lease(self._lock("child"), wait=False):
            yield

    def sending(self, wait: bool) -> AbstractContextManager[None]:
        """Held by the one process that sends what W&B wrote of this run, as `lease` is."""
        return lease(self._lock("sender"), wait)

    def clear(self) -> None:
        """Forget everything, in one step: a kill leaves the whole folder or none."""
        if self.path.exists():
            self.path.rename(self.path.with_name(f".{self.id}-{uuid4().hex}"))
        for aside in self.path.parent.glob(f".{self.id}-*"):  # also what a kill left of an earlier one
            shutil.rmtree(aside)

    def forget_checkpoints(self) -> None:
        """Begin the training anew, but keep the record of failures. What the old one said of its epochs and its steps
        goes too: by that the new one would be judged."""
        for made in (*self.path.glob("*.ckpt"), self.path / "epochs.json", self.path / "progress.json"):
            made.unlink(missing_ok=True)

    def _lock(self, who: str) -> Path:
        folder = self.path.parent / LEASES
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.id}.{who}"


def claimed(root: Path) -> set[str]:
    """Names of the runs in a folder of runs that a parent or a child works on, also of those whose own folder is not
    there yet."""
    locks = [lock for who in ("parent", "child") for lock in (root / LEASES).glob(f"*.{who}")]
    return {lock.stem for lock in locks if is_leased(lock)}


@contextmanager
def _patient(path: Path, patience: Patience) -> Iterator[None]:
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lease(path, wait=False))
                break
            except LeaseTaken:
                patience.pause()
        yield
