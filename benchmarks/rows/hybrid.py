"""Rows: an epoch of the hybrid interest graph on Amazon Beauty, ours against a plain dense prototype."""

from functools import partial

from benchmarks.measuring.ratio import pooled, pooled_ratio
from benchmarks.measuring.row import Bench, Row, Side
from benchmarks.measuring.served import Command, Record, alternate
from benchmarks.rows.tuning import described, memory_row

GOAL = 3.0
WORDS = ("experiment=interest_graph_hybrid", "datamodule=sequences", "datamodule.source.name=amazon_beauty")
STEPS, QUICK_STEPS, ROUNDS = 24, 2, 3
"""Steps of an epoch in a turn, a tenth of them. Groups of similar length come in random order."""
TARGETS = 131_413
"""Training targets of an epoch on Beauty: 198,502 events less two held out and one first for each of 22,363 users."""


def benches() -> dict[str, Bench]:
    """One measurement, with three forms of the prototype."""
    return {"beauty": Bench("hybrid interest graph on Beauty: ours against a dense prototype", partial(measure), 8)}


def measure(quick: bool) -> list[Row]:
    """As many steps of an epoch, in turn; with `--sorted` and `--pad` the very same batches as ours."""
    steps = ("--steps", str(QUICK_STEPS if quick else STEPS))
    dense = ("-m", "benchmarks.loops.dense_hybrid", *WORDS, *steps)
    commands = {
        "ours": Command(("-m", "benchmarks.loops.epochs", *WORDS, *steps)),
        "prototype": Command(dense),
        "our batches": Command((*dense, "--sorted")),
        "padded": Command((*dense, "--pad")),
    }
    records = alternate(commands, 1 if quick else ROUNDS)
    return [
        row(records, "prototype", "beauty", "hybrid on Beauty: dense prototype", GOAL),
        row(records, "our batches", "beauty_sorted", "hybrid on Beauty: dense, users of similar length together", None),
        row(records, "padded", "beauty_padded", "hybrid on Beauty: dense, histories padded to 50", None),
        memory_row("beauty_memory", "hybrid on Beauty: peak memory", records, "prototype"),
    ]


def row(records: dict[str, Record], other: str, name: str, what: str, goal: float | None) -> Row:
    """CPU seconds for an epoch's targets."""
    found, wall = (
        pooled_ratio(*([turn.cost("targets", clock) for turn in records[loop].turns] for loop in ("ours", other)))
        for clock in ("cpu", "wall")
    )
    sides = [
        Side(
            loop,
            records[loop].command.shown(),
            TARGETS * pooled([turn.cost("targets") for turn in records[loop].turns]),
        )
        for loop in ("ours", other)
    ]
    detail = {"ratio_by_wall_clock": wall.median} | {loop: described(records[loop]) for loop in ("ours", other)}
    return Row(name, what, "CPU seconds an epoch", sides, found.median, goal, (found.low, found.high), detail=detail)
