"""Rows of a GPU: what it multiplies, and how much of that a step of full fine-tuning of a large encoder reaches."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.loops import bare_model, ours, product
from benchmarks.loops.in_turn import Make, alternate
from benchmarks.loops.place import Place
from benchmarks.loops.random_model import random_bert
from benchmarks.loops.setting import batch, counts, data_and_folder
from benchmarks.measuring.arithmetic import Shape
from benchmarks.measuring.ratio import Ratio, paired_ratio
from benchmarks.measuring.row import Row, Side
from benchmarks.measuring.served import Record, Taken
from benchmarks.rows.tuning import described

OF_MATMUL, OF_BARE = 0.45, 0.90
BERT_BASE, QUICK_SHAPE = Shape(depth=12, dim=768, inner=3072), Shape(depth=1, dim=32, inner=64)
SIZE, QUICK_SIZE = 8192, 32
REPEAT = {"bf16": 60, "tf32": 30, "fp32": 5}
USERS, QUICK_USERS = 128, 2
CHUNKS = (4096, 32768)
"""Tokens at once: as configured, and as many as a large GPU wants."""
ROUNDS, QUICK_ROUNDS = 7, 1
TERA = 1e12
Work = Callable[[Taken], float]


def products(place: Place) -> list[Row]:
    """The kinds of number, in turn."""
    makes = {kind: multiplied(kind, place) for kind in product.KINDS}
    records = alternate(makes, place, rounds(place), "matmul")
    size = QUICK_SIZE if place.quick else SIZE
    return [
        share_row(
            f"gpu_matmul_{kind}", f"product of {size} x {size} in {kind}, over fp32", records, (kind, "fp32"), None
        )
        for kind in product.KINDS
    ]


def bert(place: Place) -> list[Row]:
    """Our step on MIND's titles, the bare model on as many tokens in texts of one length, a product in bf16."""
    shape = QUICK_SHAPE if place.quick else BERT_BASE
    setting = place.setting("mind", "full", QUICK_USERS if place.quick else USERS)
    data, reader = data_and_folder(setting.config())
    folder = random_bert(shape, reader)
    read = counts(batch(data, 0))
    length = round(read["tokens"] / read["texts"])
    makes = {f"ours, {tokens} tokens": tuned(place, folder, tokens) for tokens in CHUNKS}
    makes["bare model"] = partial(bare_model.loop, folder, int(read["texts"]), length, CHUNKS[-1], setting)
    makes["matmul"] = multiplied("bf16", place)
    records = alternate(makes, place, rounds(place), "bert")
    return [row for tokens in CHUNKS for row in _shares(records, shape, tokens)]


def rounds(place: Place) -> int:
    """Turns of each loop that count."""
    return QUICK_ROUNDS if place.quick else ROUNDS


def multiplied(kind: str, place: Place) -> Make:
    """A large product."""
    size, repeat = (QUICK_SIZE, 1) if place.quick else (SIZE, REPEAT[kind])
    return partial(product.loop, kind, size, repeat, place.device)


def tuned(place: Place, folder: Path, tokens: int) -> Make:
    """Our step of full fine-tuning on MIND's titles, by the model of a folder."""
    words = (f"backbone.path={folder}", f"tokens_per_chunk={tokens}")
    return partial(ours.loop, place.setting("mind", "full", QUICK_USERS if place.quick else USERS, *words))


def _shares(records: dict[str, Record], shape: Shape, tokens: int) -> list[Row]:
    name, loop = f"gpu_bert_{tokens}", f"ours, {tokens} tokens"
    what = f"full fine-tuning of a BERT {shape.depth} x {shape.dim} on MIND titles, {tokens} tokens at once: share of"
    work = partial(operations, shape)
    return [
        share_row(f"{name}_of_matmul", f"{what} a product in bf16", records, (loop, "matmul"), OF_MATMUL, work),
        share_row(f"{name}_of_bare", f"{what} the bare model", records, (loop, "bare model"), OF_BARE, work),
    ]


def operations(shape: Shape, taken: Taken) -> float:
    """Of a turn: as counted, or those of its real tokens."""
    found = taken.counts
    return found["flop"] if "flop" in found else shape.training(found["tokens"], found["squares"])


def share_row(
    name: str,
    what: str,
    records: dict[str, Record],
    loops: tuple[str, str],
    goal: float | None,
    work: Work | None = None,
) -> Row:
    """Operations a second of the first loop over those of the second, by the clock on the wall."""
    counted = work or partial(operations, BERT_BASE)
    first, other = ([turn.wall / counted(turn) for turn in records[loop].turns] for loop in loops)
    found: Ratio = paired_ratio(first, other)
    sides = [
        Side(loop, records[loop].command.shown(), median(1 / cost for cost in costs) / TERA)
        for loop, costs in zip(loops, (first, other), strict=True)
    ]
    detail = {loop: described(records[loop]) for loop in loops}
    return Row(name, what, "TFLOP/s", sides, found.median, goal, (found.low, found.high), detail=detail)
