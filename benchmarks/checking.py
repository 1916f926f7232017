"""What the checks share: run a program and show its command, hold a number against its limit, and say how it went."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.runs.lifeline import tied
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_run
from experiments.units import duration

TAIL = 30
"""Lines of a program's output that are shown where it failed unexpectedly."""


@dataclass(frozen=True)
class Finished:
    """What a program left: its exit status, what it printed, and seconds."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def path(self) -> Path:
        """What it made: the last line of its standard output."""
        return Path(self.out.strip().splitlines()[-1])


class Check:
    """Prints what is asked, each number beside its limit, and the verdict. `close` gives the exit status."""

    def __init__(self, question: str) -> None:
        self.missed: list[str] = []
        self.held = 0
        self.begun = time.perf_counter()
        print(f"{question}\n", flush=True)

    def hold(self, what: str, found: object, limit: str, reached: bool) -> None:
        """One line: what was measured, what came out, what was asked of it."""
        self.held += 1
        print(f"{'OK' if reached else 'NOT REACHED':<12}{what}: {found} (asked: {limit})", flush=True)
        if not reached:
            self.missed.append(what)

    def close(self) -> int:
        """0 where everything was reached and something was asked, else 1."""
        taken = duration(time.perf_counter() - self.begun)
        if self.missed:
            print(f"\n{len(self.missed)} of {self.held} not reached, {taken}: {'; '.join(self.missed)}")
        else:
            print(f"\nall {self.held} reached, {taken}")
        return 1 if self.missed or not self.held else 0


def program(name: str, words: Sequence[str]) -> list[str]:
    """The command line of one of our programs, under this interpreter."""
    return [sys.executable, "-m", name, *words]


def run(name: str, words: Sequence[str], env: Mapping[str, str] | None = None, may_fail: bool = False) -> Finished:
    """Run a program to its end, after showing the command as a person would type it.

    The program ends with this process. env: added to this process's own. Raises `SystemExit`, with the end of what was
    printed, where the program fails and may not.
    """
    print("$ " + shlex.join([*(f"{key}={value}" for key, value in (env or {}).items()), "python", "-m", name, *words]))
    sys.stdout.flush()
    begun = time.perf_counter()
    done = subprocess.run(program(name, words), cwd=ROOT, env={**tied(), **(env or {})}, capture_output=True, text=True)
    finished = Finished(done.returncode, done.stdout, done.stderr, time.perf_counter() - begun)
    if finished.status and not may_fail:
        printed = (finished.out + finished.err).splitlines()[-TAIL:]
        raise SystemExit("\n".join([*printed, f"exit status {finished.status}: the program above should not fail"]))
    return finished


def train(*words: str) -> Run:
    """One run by `experiments.train`; one that this very source finished before is reused, and said to be."""
    finished = run("experiments.train", [*words, "rerun=stale"])
    made = read_run(finished.path)
    how = "made before, by the same source," if "finished before" in finished.out else "made"
    accuracy = ", ".join(f"{name} {shown(made, f'test/{name}')}" for name in ("hr@10", "ndcg@10"))
    hardware, seconds = made.provenance.get("hardware"), made.cost.get("seconds")
    print(f"  {how} in {duration(seconds)} on {hardware}\n  {accuracy}\n  {made.folder}\n", flush=True)
    return made


def shown(run: Run, metric: str) -> str:
    """A metric with its 95% interval over users, as it stands in result.json."""
    low, high = run.intervals[metric]
    return f"{run.metrics[metric]:.4f} [{low:.4f}, {high:.4f}]"


def data_dir() -> Path:
    """The folder of real corpora. Raises `SystemExit` where nobody named one."""
    named = os.environ.get("INTERESTLAB_DATA")
    if not named or not Path(named).is_dir():
        raise SystemExit(f"INTERESTLAB_DATA is {named!r}; it must name the folder of the real corpora (see README.md)")
    return Path(named)


def values(run: Run, metric: str, cold: bool = False) -> np.ndarray:
    """The metric of each test query, or of those whose answer was never trained on, in the order of the queries.

    Runs on the same data and split have the same queries.
    """
    table = run.queries("test")
    chosen = table.filter(table["cold"]) if cold else table
    return np.asarray(chosen[metric].to_numpy(), dtype=float)
