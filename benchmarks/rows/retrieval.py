"""Rows: approximate lists by interest node against exact ranking, in time and in recall."""

from functools import partial
from statistics import fmean, median

from benchmarks.measuring.ratio import paired_ratio
from benchmarks.measuring.row import Bench, Row, Side
from benchmarks.measuring.served import Command, Record, alternate
from benchmarks.rows.tuning import described

SIZES = {"100k": 100_000, "1m": 1_000_000}
MINUTES = {"100k": 2.0, "1m": 10.0}
ROUNDS = 3
QUICK_ITEMS = 20_000
LOOSE = 3.0
"""Spread of items around their topics at which nearly nothing of the topics is left: the hard case for an index."""


def benches() -> dict[str, Bench]:
    """One for each size of the catalogue."""
    return {
        f"retrieval_{name}": Bench(
            f"approximate lists, 50 nodes x {items:,} items x 64", partial(measure, name), minutes
        )
        for (name, items), minutes in zip(SIZES.items(), MINUTES.values(), strict=True)
    }


def measure(name: str, quick: bool) -> list[Row]:
    """Exact and approximate in turn; then the recall where items hardly cluster."""
    words = ("-m", "benchmarks.loops.retrieval", "--items", str(QUICK_ITEMS if quick else SIZES[name]))
    rounds = 1 if quick else ROUNDS
    records = alternate({"approximate": Command((*words, "--approximate")), "exact": Command(words)}, rounds)
    loose = alternate({"approximate": Command((*words, "--approximate", "--spread", str(LOOSE)))}, 1)
    return [
        against_exact(name, records),
        recall(f"retrieval_{name}_recall", "of clustered items", records["approximate"]),
        recall(f"retrieval_{name}_loose_recall", "of items that hardly cluster", loose["approximate"]),
    ]


def against_exact(name: str, records: dict[str, Record]) -> Row:
    """Time of a user's list. Making the index is no part of it (`build` in the detail, CPU seconds): it is kept."""
    found = paired_ratio(*([turn.rate("users") for turn in records[loop].turns] for loop in ("approximate", "exact")))
    sides = [
        Side(loop, records[loop].command.shown(), milliseconds(records[loop])) for loop in ("approximate", "exact")
    ]
    detail = {loop: described(record) for loop, record in records.items()}
    what = f"{name} items: exact ranking against approximate lists"
    spread = (found.low, found.high)
    return Row(f"retrieval_{name}", what, "CPU ms a user", sides, found.median, None, spread, detail=detail)


def recall(name: str, of: str, record: Record) -> Row:
    """Mean over users of all turns; the spread is that of the turns' 95% intervals."""
    counts = [turn.counts for turn in record.turns]
    mean = fmean(one["recall"] for one in counts)
    spread = (min(one["low"] for one in counts), max(one["high"] for one in counts))
    sides = [Side("approximate", record.command.shown(), mean)]
    detail = {"items_scored": fmean(one["scored"] for one in counts), "milliseconds": milliseconds(record)}
    return Row(
        name, f"approximate lists {of}: recall@10", "share of the exact ten", sides, mean, None, spread, detail=detail
    )


def milliseconds(record: Record) -> float:
    """CPU time of a user's list, the median turn."""
    return 1e3 * median(turn.rate("users") for turn in record.turns)
