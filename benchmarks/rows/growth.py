"""Rows: how the time of one target grows with history, catalogue, text and users, against its arithmetic."""

from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks.measuring.arithmetic import MINILM, exponent
from benchmarks.measuring.row import RESULTS, Bench, Row, Side
from benchmarks.measuring.served import Command, Taken, alternate
from benchmarks.rows.growth_figure import Curve, save

ROUNDS = 3
ALLOWED = 0.1
"""What an exponent may exceed its arithmetic's by: caches end somewhere."""
FIGURE = RESULTS.parents[1] / "docs" / "growth.png"


@dataclass(frozen=True)
class Axis:
    """What grows: the argument of `loops.growing`, its values, the arguments of each, and the exponent of the
    arithmetic. Steps hold equally many targets, or a step's own cost would seem to grow, except where users grow."""

    name: str
    label: str
    argument: str
    sizes: tuple[int, ...]
    rest: tuple[str, ...]
    arithmetic: float

    def command(self, place: int) -> Command:
        """The program of one value."""
        size = ("--" + self.argument, str(self.sizes[place]))
        return Command(("-m", "benchmarks.loops.growing", *size, *self.rest[place].split()))


ITEMS = (1_000, 10_000, 100_000, 1_000_000)
TEXTS = (16, 32, 64, 128)
AXES = (
    Axis(
        "history",
        "events in a history",
        "history",
        (20, 50, 100, 200),
        ("--users 60 --steps 2", "--users 24 --steps 2", "--users 12 --steps 2", "--users 6 --steps 2"),
        1.0,
    ),
    Axis(
        "catalogue",
        "items in the catalogue",
        "items",
        ITEMS,
        ("--users 16 --steps 4", "--users 16 --steps 2", "--users 16 --steps 1", "--users 16 --steps 1"),
        1.0,
    ),
    Axis(
        "text",
        "tokens in a text",
        "tokens",
        TEXTS,
        ("--users 4 --backbone minilm",) * len(TEXTS),
        exponent(TEXTS, [MINILM.training(length, length**2) for length in TEXTS]),
    ),
    Axis(
        "users",
        "users in a step",
        "users",
        (8, 32, 128, 512),
        ("--steps 8", "--steps 4", "--steps 2", "--steps 1"),
        0.0,
    ),
)


def benches() -> dict[str, Bench]:
    """Each axis by itself, and all of them with the figure."""
    each = {
        f"growth_{axis.name}": Bench(f"time of a target against {axis.label}", partial(_one, axis), 5) for axis in AXES
    }
    return {"growth": Bench("growth along all axes, and docs/growth.png", measure, 15)} | each


def measure(quick: bool) -> list[Row]:
    """All axes; the figure is drawn unless this is a slice."""
    curves = [measured(axis, quick) for axis in AXES]
    if not quick:
        save(curves, FIGURE)
    return [row(axis, curve) for axis, curve in zip(AXES, curves, strict=True)]


def _one(axis: Axis, quick: bool) -> list[Row]:
    return [row(axis, measured(axis, quick))]


def measured(axis: Axis, quick: bool) -> Curve:
    """The sizes in turn, so that a slow minute of the machine spoils no single one."""
    places = range(2 if quick else len(axis.sizes))
    records = alternate({str(place): axis.command(place) for place in places}, 1 if quick else ROUNDS)
    costs = [[milliseconds(turn) for turn in record.turns] for record in records.values()]
    return Curve(axis.label, [axis.sizes[place] for place in places], costs, axis.arithmetic)


def milliseconds(turn: Taken) -> float:
    """CPU time of one target."""
    return 1e3 * turn.rate("targets")


def row(axis: Axis, curve: Curve) -> Row:
    """The fitted exponent, whose limit is the arithmetic's."""
    sides = [
        Side(f"{curve.sizes[place]:,}", axis.command(place).shown(), median(curve.costs[place]))
        for place in (0, len(curve.sizes) - 1)
    ]
    return Row(
        name=f"growth_{axis.name}",
        what=f"growth of a target's time with {axis.label}: exponent",
        unit="CPU milliseconds a target",
        sides=sides,
        ratio=curve.exponent,
        goal=axis.arithmetic + ALLOWED,
        at_most=True,
        detail={
            "sizes": curve.sizes,
            "costs": curve.costs,
            "arithmetic": axis.arithmetic,
            "last_step": curve.last_step,
        },
    )
