"""Rows of a GPU: fine-tuning MiniLM inside a recommender, our loop against the competent one, both under the same
autocast, with time by the clock on the wall and the peak of the device's memory."""

from functools import partial

from benchmarks.loops import competent, ours
from benchmarks.loops.in_turn import alternate
from benchmarks.loops.place import Place
from benchmarks.loops.setting import Setting
from benchmarks.measuring.ratio import pooled
from benchmarks.measuring.row import Row, Side
from benchmarks.measuring.served import Record
from benchmarks.measuring.serving import Turn
from benchmarks.rows.gpu_speed import rounds
from benchmarks.rows.tuning import COMPETENT, CORPORA, OF_FULL, REPEAT, described, memory_row, paired_targets

USERS, QUICK_USERS = 128, 2
"""In a step: our default. A step for as few as a CPU gets would leave a GPU waiting for its orders."""
UNIT = "milliseconds per 10,000 targets"


def measure(corpus: str, strategy: str, place: Place) -> list[Row]:
    """The same batches in turn; a strategy that trains little is also compared with what it replaces."""
    users = QUICK_USERS if place.quick else USERS
    repeat = 1 if place.quick else REPEAT[strategy]
    makes = {
        "ours": partial(ours.loop, place.setting(corpus, strategy, users, repeat=repeat)),
        "competent": partial(plain, place.setting(corpus, strategy, users)),
    }
    if strategy in OF_FULL:
        makes["competent, full"] = partial(plain, place.setting(corpus, "full", users))
    name, what = f"gpu_{corpus}_{strategy}", f"{CORPORA[corpus]}, {strategy}"
    records = alternate(makes, place, rounds(place), f"{corpus}_{strategy}")
    goal = COMPETENT[strategy]
    rows = [speed_row(name, f"{what}, over the competent loop", records, "competent", goal)]
    if strategy in OF_FULL:
        rows.append(
            speed_row(f"{name}_of_full", f"{what}, over its full fine-tuning", records, "competent, full", goal)
        )
    return [*rows, memory_row(f"{name}_memory", f"{what}: peak memory", records, "competent")]


def plain(setting: Setting) -> Turn:
    """The competent loop, padded to the longest of a batch, a text encoded once."""
    return competent.loop(setting, "longest", again=False)


def speed_row(name: str, what: str, records: dict[str, Record], other: str, goal: float) -> Row:
    """Seconds by the clock on the wall for equally many targets, other over ours."""
    found = paired_targets(records["ours"], records[other], "wall")
    sides = [side(loop, records[loop]) for loop in ("ours", other)]
    detail = {loop: described(records[loop]) for loop in ("ours", other)}
    return Row(name, what, UNIT, sides, found.median, goal, (found.low, found.high), detail=detail)


def side(what: str, record: Record) -> Side:
    """A loop with its cost over all turns."""
    seconds = pooled([turn.cost("targets", "wall") for turn in record.turns])
    return Side(what, record.command.shown(), 1e7 * seconds)
