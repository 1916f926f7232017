"""W&B's own `wandb beta sync` at work on some files, and which of them are sent.

W&B marks a file that it sent to its end. A killed run's file may end within a record: all before is sent, but W&B marks
nothing and says so; then `Sender` leaves a mark of its own, for as long as the file keeps its size.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Thread

from datamodules.corpus import DataError
from datamodules.storage import atomic_write
from experiments.runs.lifeline import VARIABLE
from experiments.runs.provenance import ROOT

CUT = '": the file ends with an incomplete record'
"""What W&B 0.31 says behind the name of such a file's folder, once everything before is sent."""

LOST = "Fatal error while uploading data"
"""What it says, of a run's shown name alone, where a server refused a part; it sends the rest and ends as if well."""

LAST_WORDS_SECONDS = 10.0
NOT_INHERITED = ("WANDB_SERVICE", "WANDB_SILENT", "WANDB_QUIET")
"""The first names the run's own W&B service, which ends with the run; what sends shall outlive it, and be heard."""

TIED = (
    "from experiments.runs.lifeline import tie_to_parent; tie_to_parent(); "
    "import runpy; runpy.run_module('wandb', run_name='__main__', alter_sys=True)"
)
"""`python -m wandb`, which is ended when its parent is, and its service with it."""


def is_sent(file: Path) -> bool:
    """Whether it is sent whole, or as far as it goes where nothing more can come."""
    return file.with_name(f"{file.name}.synced").exists() or is_cut(file)


def is_cut(file: Path) -> bool:
    """Whether it was sent up to the record within which it ends."""
    try:
        return int(_mark(file).read_text(encoding="utf-8")) == file.stat().st_size
    except FileNotFoundError:
        return False


def require_login() -> None:
    """Raise `DataError` where W&B has no key for its server, for which its command has but a traceback. Whether the
    server takes it, and answers at all, that command says."""
    import wandb  # most of a second, and nothing of it for a run that is followed
    from wandb.sdk.lib import wbauth

    host = wandb.setup().settings.base_url
    try:  # as `wandb beta sync` does; `wandb.login` knows nobody where WANDB_MODE is offline
        known = wbauth.authenticate_session(host=host, source="upload", prompt=False, update_session=False)
    except wandb.Error as fault:
        raise DataError(f"W&B's key for {host} is none: {' '.join(str(fault).split())}") from fault
    if known is None:
        raise DataError(f"W&B has no key for {host}; say `wandb login`, or set WANDB_API_KEY")


def environment() -> dict[str, str]:
    """This process's, for one that shall be independent of the run that started it. The clone's root leads the module
    path."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return kept | {"PYTHONPATH": path}


def command(files: Sequence[Path], live: bool = False) -> list[str]:
    """W&B's, for these files; a live one waits for more until a file has its end."""
    words = ["--live"] if live else []
    return [sys.executable, "-c", TIED, "beta", "sync", "--skip-synced", *words, *map(str, files)]


class Sender:
    """W&B's command, started; what it says goes to standard error."""

    def __init__(self, files: Sequence[Path], live: bool = False) -> None:
        self._sizes = {file: file.stat().st_size for file in files}
        self._said: list[str] = []
        self._process = subprocess.Popen(
            command(files, live),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment()
            | {
                "WANDB_DIR": str(_run_folder(files[0])),  # its logs, else in the working directory
                VARIABLE: str(os.getpid()),
            },
        )
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def works(self, seconds: float) -> bool:
        """Whether it still works after so many seconds; returns as soon as it does not."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def conclude(self) -> None:
        """Wait for its end, and mark the files that it sent as far as they go."""
        try:
            self._process.wait()
        finally:
            self.end()  # where an interrupt came first
        if not any(LOST in line for line in self._said):
            for file, size in self._sizes.items():
                if any(file.parent.name + CUT in line for line in self._said):
                    atomic_write(_mark(file), f"{size}\n")

    def end(self) -> None:
        """End it, whatever signals it is deaf to; its W&B service ends by itself then."""
        self._process.kill()
        self._process.wait()
        self._listener.join(LAST_WORDS_SECONDS)

    def _listen(self) -> None:
        with self._process.stderr or nullcontext(()) as lines:
            for line in lines:
                if LOST in line or CUT in line:
                    self._said.append(line)
                print(line, end="", file=sys.stderr, flush=True)


def _run_folder(file: Path) -> Path:
    return file.parents[2]


def _mark(file: Path) -> Path:
    return file.with_name(f"{file.name}.cut")
