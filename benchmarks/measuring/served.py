"""Loops in child processes that take turns, so that a noisy machine disturbs all of them alike."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from experiments.runs.provenance import ROOT

REST = 0.3
"""Seconds between turns: idle threads of the last one stop spinning meanwhile."""
TAIL = 30


@dataclass(frozen=True)
class Command:
    """A loop's program. python: the interpreter, a peer's own or ours."""

    words: tuple[str, ...]
    python: Path = Path(sys.executable)
    env: Mapping[str, str] = field(default_factory=dict)

    def shown(self) -> str:
        """As a person types it in the root of the clone."""
        own = self.python == Path(sys.executable)
        setting = [f"{key}={value}" for key, value in self.env.items()]
        python = "python" if own else f".venv-peers/{self.python.parts[-3]}/bin/python"  # wherever it lies here
        return shlex.join([*setting, python, *self.words])


@dataclass(frozen=True)
class Taken:
    """What one turn of a comparison took: seconds, processor seconds, counts."""

    wall: float
    cpu: float
    counts: Mapping[str, float]

    def cost(self, unit: str, clock: str = "cpu") -> tuple[float, float]:
        """Seconds by the given clock, and how many units."""
        return float(getattr(self, clock)), self.counts[unit]

    def rate(self, unit: str, clock: str = "cpu") -> float:
        """Seconds for one unit."""
        seconds, units = self.cost(unit, clock)
        return seconds / units


@dataclass(frozen=True)
class Record:
    """All turns of one loop, the first (which warms up) left out. ready: seconds until it could begin."""

    command: Command
    turns: tuple[Taken, ...]
    ready: float
    ready_bytes: int
    peak_bytes: int


class Served:
    """A running loop. `close` ends it."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self.child = subprocess.Popen(
            [str(command.python), *command.words, "--serve"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **command.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.started: dict[str, Any] = {}
        self.peak = 0

    def wait(self) -> None:
        """Until it is ready to take turns."""
        self.started = self._answer()

    def turn(self, number: int) -> Taken:
        """Let it work on turn `number`, and wait."""
        assert self.child.stdin is not None
        time.sleep(REST)
        with suppress(BrokenPipeError):  # it died; its answer, which is none, says why
            print(number, file=self.child.stdin, flush=True)
        found = self._answer()
        self.peak = max(self.peak, int(found["peak_bytes"]))
        return Taken(found["wall"], found["cpu"], found["counts"])

    def close(self) -> None:
        """End the loop; what it used is free afterwards."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.close()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.errors.close()

    def _answer(self) -> dict[str, Any]:
        """Raises `RuntimeError` with the end of the error output where the loop died."""
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if line:
            return dict(json.loads(line))
        self.errors.seek(0)
        tail = "\n".join(self.errors.read().decode(errors="replace").splitlines()[-TAIL:])
        raise RuntimeError(f"{tail}\n$ {self.command.shown()}\nended with status {self.child.wait()}")


def alternate(commands: Mapping[str, Command], rounds: int) -> dict[str, Record]:
    """Turns A B A B ..., `rounds` of each after one that warms up. All loops stay alive, and one works at a time."""
    with ExitStack() as running:
        loops: dict[str, Served] = {}
        for name, command in commands.items():
            loops[name] = Served(command)
            running.callback(loops[name].close)
            loops[name].wait()
        taken: dict[str, list[Taken]] = {name: [] for name in loops}
        for number in range(rounds + 1):
            for name, loop in loops.items():
                taken[name].append(loop.turn(number))
        return {name: _record(loop, taken[name][1:]) for name, loop in loops.items()}


def _record(loop: Served, turns: Sequence[Taken]) -> Record:
    ready = loop.started
    return Record(loop.command, tuple(turns), float(ready["ready"]), int(ready["peak_bytes"]), loop.peak)
