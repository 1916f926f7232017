"""Rows: how much of the machine a step of full fine-tuning uses, counting the operations of real tokens alone."""

from functools import partial

from benchmarks.measuring.arithmetic import MINILM
from benchmarks.measuring.ratio import Ratio, paired_ratio
from benchmarks.measuring.row import Bench, Row, Side
from benchmarks.measuring.served import Command, Record, Taken, alternate
from benchmarks.rows.tuning import QUICK_USERS, command, described

OF_BARE, OF_MATMUL = 0.90, 0.45
ROUNDS = 5
USERS = 128
TEXTS, QUICK_TEXTS = 1200, 300
LENGTHS = {"ml100k": 11, "mind": 16}
"""Tokens of a text on average, special ones included."""


def benches() -> dict[str, Bench]:
    """One for each corpus."""
    return {
        f"share_{corpus}": Bench(f"share of the machine, full fine-tuning, {corpus}", partial(measure, corpus), 6)
        for corpus in LENGTHS
    }


def measure(corpus: str, quick: bool) -> list[Row]:
    """Our step, the bare model on equally long texts, a matrix product, in turn."""
    texts, length = QUICK_TEXTS if quick else TEXTS, LENGTHS[corpus]
    records = alternate(
        {
            "ours": command("ours", corpus, "full", QUICK_USERS if quick else USERS),
            "bare model": Command(("-m", "benchmarks.loops.bare", "--texts", str(texts), "--length", str(length))),
            "matmul": Command(("-m", "benchmarks.loops.matmul")),
        },
        2 if quick else ROUNDS,
    )
    name, what = f"share_{corpus}", f"full fine-tuning on {corpus}, operations on real tokens: share of"
    return [
        row(f"{name}_of_bare", f"{what} the bare model", records, "bare model", OF_BARE),
        row(f"{name}_of_matmul", f"{what} a matrix product", records, "matmul", OF_MATMUL),
    ]


def row(name: str, what: str, records: dict[str, Record], other: str, goal: float) -> Row:
    """Operations a second, ours over the other's."""
    by_cpu, by_wall = (share(records, other, clock) for clock in ("cpu", "wall"))
    sides = [Side(loop, records[loop].command.shown(), speed(records[loop])) for loop in ("ours", other)]
    detail = {"ratio_by_wall_clock": by_wall.median} | {loop: described(record) for loop, record in records.items()}
    spread = (by_cpu.low, by_cpu.high)
    return Row(name, what, "GFLOP per CPU second", sides, by_cpu.median, goal, spread, detail=detail)


def share(records: dict[str, Record], other: str, clock: str) -> Ratio:
    """Seconds for an operation, the other's over ours."""
    ours, theirs = ([cost(turn, clock) for turn in records[loop].turns] for loop in ("ours", other))
    return paired_ratio(ours, theirs)


def cost(turn: Taken, clock: str) -> float:
    """Seconds for a floating-point operation."""
    counts = turn.counts
    work = counts["flop"] if "flop" in counts else MINILM.training(counts["tokens"], counts["squares"])
    return float(getattr(turn, clock)) / work


def speed(record: Record) -> float:
    """GFLOP in a CPU second, the median turn."""
    return sorted(1e-9 / cost(turn, "cpu") for turn in record.turns)[len(record.turns) // 2]
