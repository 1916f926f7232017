"""Send what W&B wrote into run folders to its server, beside the run or later.

A file that is being written is followed (`--live`). The follower is a process of its own in a session of its own, and
its W&B is not the run's: it outlives the run, and whatever happens to it the run does not notice. It ends by itself
once everything is sent. Where the run is killed the file has no end, so the follower gives it up a while after the
run's process is gone, or after the next attempt of the run has begun a file of its own. That attempt's follower sends
what the first one left, and W&B joins both files by the run's id (points between the last checkpoint and the kill are
then sent twice, with the same values).
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from datamodules.storage import LeaseTaken
from experiments.runs.folder import RunFolder
from experiments.tracking.sender import Sender, environment, is_sent

LOG = "upload.log"
GRACE_SECONDS = 60.0
"""How long after the end of a killed run, or the beginning of its next attempt, its follower may still send."""

LIMIT_SECONDS = 6 * 3600.0
"""How long after the end of a whole run: a checkpoint may be large and a line slow."""

FIRST_SECONDS = 60.0
"""How long W&B may take to begin a file."""

LOOK_SECONDS = 2.0
TOGETHER = 64
"""Runs that one command sends; each is a lease, and processes may hold few hundreds."""


def files_of(folder: Path) -> list[Path]:
    """What W&B wrote for a run, one file for each attempt, oldest first."""
    return sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))


def unsent(folder: Path) -> list[Path]:
    """What of it is still to be sent."""
    return [file for file in files_of(folder) if not is_sent(file)]


def follow(folder: Path) -> None:
    """Start the process that sends the newest file of a run while it is written, and older ones before it."""
    log = folder / "wandb" / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as written:
        subprocess.Popen(
            [sys.executable, "-m", "experiments.upload", "--follow", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,  # an interrupt of the run is none of its business
            env=environment(),
        )


def stay_with(folder: RunFolder, grace: float = GRACE_SECONDS, limit: float = LIMIT_SECONDS) -> bool:
    """Send older attempts, then follow the newest until it is sent. Returns whether it was. Waits for another process
    that sends this run; where a newer attempt has begun meanwhile, all is left to that one's follower."""
    own = _newest(folder.path, FIRST_SECONDS)
    if own is None:
        return False
    with folder.sending(wait=True):
        if _newest(folder.path) == own:
            older = [file for file in unsent(folder.path) if file != own]
            if older:
                _look_after(Sender(older), folder, own, grace, limit)
            _look_after(Sender([own], live=True), folder, own, grace, limit)
    return is_sent(own)


def send_kept(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """Send what these runs kept. Returns those that were left out, because a process makes or sends them now."""
    busy: list[RunFolder] = []
    for start in range(0, len(folders), TOGETHER):
        with ExitStack() as held:
            some = folders[start : start + TOGETHER]
            free = [folder for folder in some if _take(folder, held)]
            files = [file for folder in free for file in unsent(folder.path)]
            if files:
                Sender(files).conclude()
            busy += [folder for folder in some if folder not in free]
    return busy


def _take(folder: RunFolder, held: ExitStack) -> bool:
    if folder.is_occupied():
        return False
    try:
        held.enter_context(folder.sending(wait=False))
    except LeaseTaken:
        return False
    return True


def _newest(folder: Path, patience: float = 0.0) -> Path | None:
    end = time.monotonic() + patience
    while not (files := files_of(folder)) and time.monotonic() < end:
        time.sleep(min(LOOK_SECONDS, patience))
    return files[-1] if files else None


def _look_after(sender: Sender, folder: RunFolder, own: Path, grace: float, limit: float) -> None:
    """Wait for what is sent, but no longer than the run is worth it once its process is gone."""
    over: float | None = None
    while sender.works(LOOK_SECONDS):
        superseded = _newest(folder.path) != own
        if folder.is_occupied() and not superseded:
            over = None
            continue
        over = time.monotonic() if over is None else over
        whole = not superseded and folder.read("result.json").get("status") == "done"
        if time.monotonic() - over > (limit if whole else grace):
            sender.end()
            return
    sender.conclude()
