"""Start a run's child process, show what it prints and keep it, and wait for its end."""

import codecs
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from experiments.config.hardware import cores
from experiments.runs.lifeline import deaf, tied, without_scheduler_signals
from experiments.runs.provenance import ROOT
from experiments.runs.waiting import Stopped

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
UPWARDS = re.compile(r"\x1b\[\d*A")  # a progress bar of several lines goes up to draw itself again
GRACE_SECONDS = 10.0
LOOK_SECONDS = 1.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Waiting threads sleep: where they spin beside other work, small models are twelve times slower (docs/log.md)."""


def launch(
    folder: Path,
    threads: int,
    gpus: tuple[str, ...],
    screen: TextIO | None = None,
    stop: Callable[[], bool] | None = None,
) -> int:
    """Run `python -m experiments.job FOLDER` and return its exit status, negative for a signal.

    screen: where the child's output is shown, None for standard output; log.txt keeps its finished lines. Where that is
    a terminal the child believes that it writes to one, so progress bars move. If this process is interrupted, the
    child is ended first. stop: asked every second; where it says yes the child is ended and `Stopped` raised.
    """
    shown = sys.stdout if screen is None else screen
    reader, writer = pty.openpty() if shown.isatty() else os.pipe()
    with without_scheduler_signals():
        child = subprocess.Popen(
            [sys.executable, "-m", "experiments.job", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            env=environment(threads, gpus),
            process_group=None if stop is None else 0,  # an interrupt of the terminal is whoever watches to decide on
        )
    os.close(writer)
    copier = threading.Thread(target=_copy, args=(reader, shown, folder / "log.txt"), daemon=True)
    copier.start()
    try:
        status = _wait(child, stop)
    finally:
        _end(child)
        copier.join(GRACE_SECONDS)  # not for ever: a stray grandchild may still hold the other end
    return status


def _wait(child: subprocess.Popen[bytes], stop: Callable[[], bool] | None) -> int:
    while True:
        try:
            return child.wait(None if stop is None else LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if stop is not None and stop():
                raise Stopped from None


def threads_of(processes: int) -> int:
    """Threads of each of so many processes on this machine, unless a person set their number: two processes that each
    use every core spin against each other."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else max(cores() // max(processes, 1), 1)


def environment(threads: int, gpus: tuple[str, ...]) -> dict[str, str]:
    """The child's environment. Thread counts that a person set stay; the clone's root leads the module path."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    made = {
        **dict.fromkeys(THREADS, str(threads)),
        **WAITING,
        **tied(),
        "PYTHONPATH": path,
    }
    made["PYTHONUNBUFFERED"] = "1"
    made.pop("SLURM_NTASKS", None)  # by it Lightning takes the sweep's job for its own ranks, and starts none
    if gpus:
        made["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    if sys.stdout.isatty():
        made["COLUMNS"] = str(shutil.get_terminal_size().columns)
    return made


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill() if deaf() else child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _copy(reader: int, screen: TextIO, log: Path) -> None:
    """Read to the end, whatever becomes of screen and log: a child that nobody reads waits for ever, and holds its GPU
    meanwhile."""
    finished: list[str] = []
    lines = Lines(finished.append)
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    hindered = _keep(log, finished)
    told = False
    try:
        while block := _read(reader):
            text = decode(block)
            _show(screen, text)
            lines.add(text)
            hindered = _keep(log, finished) or hindered
            if hindered and not told:
                told = True
                _show(screen, f"{log} lacks lines, for it could not be written: {hindered}\n")
        lines.add("\n" if lines.rest else "")
        _keep(log, finished)
    finally:
        os.close(reader)


def _show(screen: TextIO, text: str) -> None:
    with suppress(OSError, ValueError):  # its terminal or pipe was closed, or it lacks a character
        screen.write(text)
        screen.flush()


def _keep(log: Path, finished: list[str]) -> OSError | None:
    """Append the lines, and forget them. Returns what hindered it; the next lines are tried again."""
    try:
        with log.open("a", encoding="utf-8") as kept:
            kept.writelines(finished)
    except OSError as fault:
        return fault
    finally:
        finished.clear()
    return None


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # a pseudo-terminal ends with an error where a pipe ends with nothing
        return b""


class Lines:
    """Makes plain lines out of what a terminal would show: no colours, and the last state of what is drawn over."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write, self.rest = write, ""

    def add(self, text: str) -> None:
        """Take the next piece of output, cut anywhere."""
        *whole, self.rest = (self.rest + text).replace("\r\n", "\n").split("\n")
        for line in whole:
            if not UPWARDS.search(line):
                self.write(ESCAPE.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip() + "\n")
        head, sign, _ = self.rest.rstrip("\r").rpartition("\r")
        if sign and not UPWARDS.search(head):
            self.rest = self.rest[len(head) + 1 :]
