"""A loop as a child process: it makes itself ready, then works when it is told to and says what that took.

The parent writes one line with the number of a turn; the child works and answers one line of JSON: seconds by the clock
on the wall, processor seconds of all its threads, what the turn counted, and the most memory so far. Started without
`--serve`, the same program takes a few turns by itself and prints them. Only the standard library, so that a peer in an
environment of its own speaks it too.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Counts = Mapping[str, float | Callable[[], float]]
Turn = Callable[[int], Counts]
"""Does the work of turn number k and says what it counted, such as {"targets": 6400}. A count that is a function is
asked after the clock has stopped: an evaluation is no part of training."""

ALONE = 4
"""Turns that a loop takes when a person starts it; the first one warms up."""


def serve(make: Callable[[], Turn], serving: bool) -> None:
    """Make the loop, then answer the parent until it closes the line, or take a few turns and print them."""
    answers = _private_output() if serving else sys.stdout
    started = time.perf_counter()
    turn = make()
    _say(answers, {"ready": time.perf_counter() - started, "peak_bytes": peak_bytes()})
    numbers = map(int, sys.stdin) if serving else range(ALONE)
    for number in numbers:
        _say(answers, timed(turn, number))


def timed(turn: Turn, number: int) -> dict[str, Any]:
    """One turn, with the time and memory that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    counts = turn(number)
    taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    found = {name: count() if callable(count) else count for name, count in counts.items()}
    return taken | {"counts": found, "peak_bytes": peak_bytes()}


def peak_bytes() -> int:
    """The largest resident set of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _private_output() -> TextIO:
    """Standard output for the answers alone: what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, what: dict[str, Any]) -> None:
    print(json.dumps(what), file=answers, flush=True)
