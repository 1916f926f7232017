"""Send what W&B wrote into run folders to its server, beside the run or later, by W&B's own `wandb beta sync`.

A file that is being written is followed (`--live`). The follower is a process of its own in a session of its own: it
outlives the run, and whatever happens to it the run does not notice. It ends by itself once everything is sent. Where
the run is killed the file has no end, so `Follower` gives it up a while after the run's process is gone; the next
attempt of the run writes a file of its own, which W&B joins to the first by the run's id (points between the last
checkpoint and the kill are then sent twice, with the same values).
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.runs.folder import RunFolder
from experiments.runs.provenance import ROOT

LOG = "upload.log"
GRACE_SECONDS = 60.0
"""How long after the end of a killed run its follower may still send."""

LIMIT_SECONDS = 6 * 3600.0
"""How long after the end of a whole run: a checkpoint may be large and a line slow."""

LOOK_SECONDS = 2.0


def files_of(folder: Path) -> list[Path]:
    """What W&B wrote for a run, one file for each attempt, oldest first."""
    return sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))


def is_sent(file: Path) -> bool:
    """Whether W&B marked it as sent whole."""
    return file.with_name(f"{file.name}.synced").exists()


def follow(folder: Path) -> None:
    """Start the process that sends the newest file of a run while it is written, and older ones before it."""
    log = folder / "wandb" / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with log.open("ab") as written:
        subprocess.Popen(
            [sys.executable, "-m", "experiments.upload", "--follow", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,  # an interrupt of the run is none of its business
            env=os.environ | {"PYTHONPATH": path},
        )


def send(files: Sequence[Path], live: bool = False) -> "subprocess.Popen[bytes]":
    """W&B's command for these files."""
    words = ["--live"] if live else []
    return subprocess.Popen(
        [sys.executable, "-m", "wandb", "beta", "sync", "--skip-synced", *words, *map(str, files)],
        stdin=subprocess.DEVNULL,
    )


def stay_with(folder: RunFolder, grace: float = GRACE_SECONDS, limit: float = LIMIT_SECONDS) -> bool:
    """Send older attempts, then follow the newest until it is sent. Returns whether it was; ends W&B's command where
    the run is over and it does not come to an end."""
    *older, newest = files_of(folder.path)
    waiting = [file for file in older if not is_sent(file)]
    if waiting:
        _wait(send(waiting), folder, limit, limit)
    _wait(send([newest], live=True), folder, grace, limit)
    return is_sent(newest)


def _wait(sender: "subprocess.Popen[bytes]", folder: RunFolder, grace: float, limit: float) -> None:
    over: float | None = None
    while sender.poll() is None:
        time.sleep(LOOK_SECONDS)
        if folder.is_occupied():
            over = None
            continue
        over = time.monotonic() if over is None else over
        patience = limit if folder.read("result.json").get("status") == "done" else grace
        if time.monotonic() - over > patience:
            sender.terminate()
            sender.wait()
