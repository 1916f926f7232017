"""Loops that take turns within this process, A B A B ...

A GPU has no neighbours to be kept apart from, and a process for each loop, with its libraries and its CUDA context,
would take longer than the measurement. What one loop leaves behind for all, PyTorch's choice of deterministic kernels,
is set before each of its turns.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from benchmarks.loops.place import Place
from benchmarks.measuring.served import Command, Record, Taken
from benchmarks.measuring.serving import Turn, timed

WARM = 3
"""Turns that are not counted: kernels are loaded, memory is cut to pieces of the right sizes."""

Make = Callable[[], Turn]


@dataclass(frozen=True)
class Loop:
    """A loop that is ready. own: bytes that it keeps on the device between turns. deterministic: whether it asked for
    such kernels."""

    turn: Turn
    place: Place
    ready: float
    own: int
    deterministic: bool

    @classmethod
    def warmed(cls, make: Make, place: Place, turns: int) -> "Loop":
        """Made, and used so often that its optimizer has its state."""
        torch.use_deterministic_algorithms(False)
        before, started = place.allocated(), time.perf_counter()
        turn = make()
        deterministic, ready = torch.are_deterministic_algorithms_enabled(), time.perf_counter() - started
        for number in range(turns):
            turn(number)
        place.clear()
        return cls(turn, place, ready, place.allocated() - before, deterministic)

    def take(self, number: int) -> tuple[Taken, int]:
        """A turn, and the most bytes that the device held for this loop in it."""
        torch.use_deterministic_algorithms(self.deterministic, warn_only=True)
        self.place.wait()
        self.place.forget()
        others = self.place.allocated() - self.own
        found = timed(self._whole, number)
        return Taken(found["wall"], found["cpu"], found["counts"]), self.place.peak() - max(others, 0)

    def _whole(self, number: int) -> Mapping[str, float | Callable[[], float]]:
        counts = self.turn(number)
        self.place.wait()
        return counts


def alternate(makes: Mapping[str, Make], place: Place, rounds: int, name: str) -> dict[str, Record]:
    """Turns of all loops, `rounds` of each after some that warm up. name: of the measurement, for the record's command.

    The peaks are those of the device, each loop's without what the others hold there.
    """
    try:
        return _alternated(makes, place, rounds, Command(("-m", "benchmarks.gpu", name, "--device", place.device)))
    finally:
        torch.use_deterministic_algorithms(False)
        place.clear()


def _alternated(makes: Mapping[str, Make], place: Place, rounds: int, command: Command) -> dict[str, Record]:
    warm = 1 if place.quick else WARM
    place.clear()
    loops = {name: Loop.warmed(make, place, warm) for name, make in makes.items()}
    taken: dict[str, list[tuple[Taken, int]]] = {name: [] for name in loops}
    for number in range(warm, warm + rounds):
        for name, loop in loops.items():
            taken[name].append(loop.take(number))
    return {name: _record(command, loop, taken[name]) for name, loop in loops.items()}


def _record(command: Command, loop: Loop, taken: list[tuple[Taken, int]]) -> Record:
    turns, peaks = zip(*taken, strict=True)
    return Record(command, turns, loop.ready, loop.own, max(peaks))
