"""Rows: what each single idea gains, from the tutorial's loop to ours, one rung at a time."""

from functools import partial
from itertools import pairwise

from benchmarks.measuring.row import Bench, Row
from benchmarks.measuring.served import Command, Record, alternate
from benchmarks.rows.tuning import UNIT, command, described, pooled_targets, side

FEW, MANY = 2, 128
"""Users in a step: few, because padding everything to 128 needs the memory, then as many as our default."""
ROUNDS = 3
BATCH = ("--set", "candidates=batch")


def benches() -> dict[str, Bench]:
    """One for each corpus."""
    return {
        f"ladder_{corpus}": Bench(f"what each idea gains, {corpus}", partial(measure, corpus), minutes=15)
        for corpus in ("ml100k", "mind")
    }


def rungs(corpus: str) -> dict[str, Command]:
    """Each differs from the one before it by one idea."""

    def competent(*words: str) -> Command:
        return Command((*command("competent", corpus, "full", FEW).words, *words, *BATCH))

    def ours(strategy: str, users: int, repeat: int = 1) -> Command:
        return Command((*command("ours", corpus, strategy, users, repeat).words, *BATCH))

    return {
        "one target an example, padded to 128": command("tutorial", corpus, "full", 2),
        "all positions asked in one pass": competent("--padding", "128", "--repeated"),
        "a text of a batch encoded once": competent("--padding", "128"),
        "padded to the longest of the batch": competent(),
        "padded to the longest of a bucket": competent("--padding", "buckets"),
        "packed, nothing padded; loss in chunks": ours("full", FEW),
        f"{MANY} users share the texts of a step": ours("full", MANY),
        "LoRA": ours("lora", MANY),
        "top layer alone, on stored states": ours("top_k", MANY, 3),
        "head alone, on stored vectors": ours("frozen", MANY, 30),
    }


def measure(corpus: str, quick: bool) -> list[Row]:
    """Neighbouring rungs in turn; a rung's gain is its cost against the one before it."""
    chosen = rungs(corpus)
    rows = []
    for number, (before, after) in enumerate(pairwise(chosen), start=1):
        records = alternate({name: chosen[name] for name in (before, after)}, 1 if quick else ROUNDS)
        rows.append(row(corpus, before, after, records, number))
    return rows


def row(corpus: str, before: str, after: str, records: dict[str, Record], number: int) -> Row:
    """What the idea `after` gains."""
    found = pooled_targets(records[after], records[before], "cpu")
    sides = [side(name, records[name]) for name in (after, before)]
    detail = {name: described(record) for name, record in records.items()}
    spread = (found.low, found.high)
    name = f"ladder_{corpus}_{number}"
    return Row(name, f"{corpus}: {after}", UNIT, sides, found.median, None, spread, detail=detail)
