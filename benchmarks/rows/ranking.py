"""Rows: exact ranking under the graph head, as a share of a matrix product, and in how much memory."""

from benchmarks.measuring.ratio import paired_ratio
from benchmarks.measuring.row import Bench, Row, Side
from benchmarks.measuring.served import Command, Record, alternate
from benchmarks.rows.share import row as share_row
from benchmarks.rows.share import speed
from benchmarks.rows.tuning import described

GOAL, GIB = 0.60, 2.0
ROUNDS = 3
QUICK = ("--users", "64", "--items", "20000")


def benches() -> dict[str, Bench]:
    """One measurement."""
    return {"ranking": Bench("exact graph ranking, 256 users x 50 nodes x 100,000 items x 384", measure, 6)}


def measure(quick: bool) -> list[Row]:
    """Ours, the naive way, and a matrix product, in turn."""
    words = ("-m", "benchmarks.loops.ranking", *(QUICK if quick else ()))
    records = alternate(
        {
            "ours": Command(words),
            "naive": Command((*words, "--naive")),
            "matmul": Command(("-m", "benchmarks.loops.matmul", "--repeat", "40")),
        },
        1 if quick else ROUNDS,
    )
    return [
        share_row("ranking_of_matmul", "graph ranking: share of a matrix product", records, "matmul", GOAL),
        memory(records),
        against_naive(records),
    ]


def memory(records: dict[str, Record]) -> Row:
    """Largest resident sets, the interpreter and torch included."""
    sides = [Side(loop, records[loop].command.shown(), records[loop].peak_bytes / 2**30) for loop in ("ours", "naive")]
    peak = records["ours"].peak_bytes / 2**30
    return Row("ranking_memory", "graph ranking: peak memory of ours", "GiB", sides, peak, GIB, at_most=True)


def against_naive(records: dict[str, Record]) -> Row:
    """Time of the naive way over ours."""
    found = paired_ratio(*([turn.rate("users") for turn in records[loop].turns] for loop in ("ours", "naive")))
    sides = [Side(loop, records[loop].command.shown(), speed(records[loop])) for loop in ("ours", "naive")]
    detail = {loop: described(records[loop]) for loop in ("ours", "naive")}
    spread = (found.low, found.high)
    what = "graph ranking: the naive (B, H, N) against ours"
    return Row("ranking_naive", what, "GFLOP per CPU second", sides, found.median, None, spread, detail=detail)
