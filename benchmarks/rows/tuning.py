"""Rows: fine-tuning MiniLM inside a recommender, our loop against the competent one and the tutorial's."""

from collections.abc import Callable
from functools import partial

from benchmarks.measuring.ratio import Ratio, paired_ratio, pooled, pooled_ratio
from benchmarks.measuring.row import Bench, Row, Side
from benchmarks.measuring.served import Command, Record, alternate

UNIT = "CPU seconds per 10,000 targets"
CORPORA = {"ml100k": "ml-100k", "mind": "MIND titles"}
COMPETENT = {"full": 2.5, "lora": 2.5, "top_k": 10.0, "frozen": 200.0}
OF_FULL = ("top_k", "frozen")
NARROW = 64
"""Width of vectors in most recommenders. With MiniLM's own 384 the arithmetic of interest and head is most of a step on
frozen vectors, and no loop can be much faster."""
TUTORIAL = {"full": 100.0, "lora": 100.0, "top_k": 500.0, "frozen": None}
REPEAT = {"full": 1, "lora": 1, "top_k": 3, "frozen": 30}
"""Steps of ours in a turn, so that it lasts long enough to be timed."""
ROUNDS, TUTORIAL_ROUNDS = 5, 6
Compare = Callable[[Record, Record, str], Ratio]
"""Our record, the other's, and a clock -> the other's cost of a target over ours."""

USERS = {"ml100k": 128, "mind": 24}
"""In a step: our default; on MIND the competent loop needs 10 GB for 32 users, whose titles are all padded to the
longest."""
FEW_USERS = 32
"""What validation chose for corpora of the size of ml-100k (docs/log.md, users per step). The more users, the less
often a text is encoded for a target, by both loops, and the more of a step are interest and head."""
QUICK_USERS, MANY_USERS, TUTORIAL_USERS = 16, 128, 4


def benches() -> dict[str, Bench]:
    """One for each corpus, strategy and opponent."""
    made = {}
    for corpus, title in CORPORA.items():
        for strategy in COMPETENT:
            about = f"{title}, {strategy}: ours against the"
            made[f"{corpus}_{strategy}"] = Bench(
                f"{about} competent loop", partial(against_competent, corpus, strategy), minutes=8
            )
            made[f"{corpus}_{strategy}_tutorial"] = Bench(
                f"{about} tutorial loop", partial(against_tutorial, corpus, strategy), minutes=8
            )
        made[f"{corpus}_frozen_{NARROW}"] = Bench(
            f"{title}, frozen: the same with vectors mapped to {NARROW} numbers",
            partial(against_competent, corpus, "frozen", dim=NARROW),
            minutes=8,
        )
    for strategy, dim in (*((strategy, None) for strategy in COMPETENT), ("frozen", NARROW)):
        measure = partial(against_competent, "ml100k", strategy, dim=dim, few=True)
        wide = f", {dim} wide" if dim else ""
        about = f"{CORPORA['ml100k']}, {strategy}{wide}: the same with {FEW_USERS} users a step"
        made["_".join(map(str, ("ml100k", strategy, *([dim] if dim else []), "few")))] = Bench(
            about, measure, minutes=4
        )
    return made


def against_competent(corpus: str, strategy: str, quick: bool, dim: int | None = None, few: bool = False) -> list[Row]:
    """The same batches, in turn; and the most memory that each process took. A strategy that trains little is also
    compared with what it replaces, full fine-tuning. few: users in a step."""
    users = QUICK_USERS if quick else FEW_USERS if few else USERS[corpus]
    commands = {
        "ours": command("ours", corpus, strategy, users, REPEAT[strategy], dim),
        "competent": command("competent", corpus, strategy, users, dim=dim),
    }
    if strategy in OF_FULL:
        commands["competent, full"] = command("competent", corpus, "full", users, dim=dim)
    records = alternate(commands, 1 if quick else ROUNDS)
    name, what, goal = f"{corpus}_{strategy}", f"{CORPORA[corpus]}, {strategy}", COMPETENT[strategy]
    if dim:
        name, what = f"{name}_{dim}", f"{what}, {dim} wide"
    if few:
        name, what = f"{name}_few", f"{what}, {users} users"
    rows = [speed_row(name, what, records, "competent", goal)]
    if strategy in OF_FULL:
        rows.append(speed_row(f"{name}_of_full", f"{what}, against full", records, "competent, full", goal))
    return [*rows, memory_row(f"{name}_memory", f"{what}: peak memory", records, "competent")]


def against_tutorial(corpus: str, strategy: str, quick: bool) -> list[Row]:
    """The tutorial's loop works on a slice of its targets, drawn evenly from all, and the rest is scaled. The work of a
    target differs between turns, so all seconds are divided by all targets."""
    records = alternate(
        {
            "ours": command("ours", corpus, strategy, QUICK_USERS if quick else MANY_USERS, REPEAT[strategy]),
            "tutorial": command("tutorial", corpus, strategy, 2 if quick else TUTORIAL_USERS),
        },
        1 if quick else TUTORIAL_ROUNDS,
    )
    what = f"{CORPORA[corpus]}, {strategy}: tutorial"
    name = f"{corpus}_{strategy}_tutorial"
    return [speed_row(name, what, records, "tutorial", TUTORIAL[strategy], pooled_targets)]


def command(loop: str, corpus: str, strategy: str, users: int, repeat: int = 1, dim: int | None = None) -> Command:
    """The program of one loop."""
    words = ["-m", f"benchmarks.loops.{loop}", "--corpus", corpus, "--strategy", strategy, "--users", str(users)]
    words += ["--repeat", str(repeat)] if repeat > 1 else []
    return Command((*words, *(["--set", f"backbone.dim={dim}"] if dim else [])))


def paired_targets(ours: Record, other: Record, clock: str) -> Ratio:
    """Of neighbouring turns, which took the same batch."""
    return paired_ratio(*([turn.rate("targets", clock) for turn in record.turns] for record in (ours, other)))


def pooled_targets(ours: Record, other: Record, clock: str) -> Ratio:
    """Of all turns together."""
    return pooled_ratio(*([turn.cost("targets", clock) for turn in record.turns] for record in (ours, other)))


def speed_row(
    name: str,
    what: str,
    records: dict[str, Record],
    other: str,
    goal: float | None,
    compare: Compare = paired_targets,
) -> Row:
    """Processor seconds for equally many targets, other over ours."""
    by_cpu, by_wall = (compare(records["ours"], records[other], clock) for clock in ("cpu", "wall"))
    return Row(
        name=name,
        what=what,
        unit=UNIT,
        sides=[side(loop, records[loop]) for loop in ("ours", other)],
        ratio=by_cpu.median,
        spread=(by_cpu.low, by_cpu.high),
        goal=goal,
        detail={
            "ratio_by_wall_clock": by_wall.median,
            "rounds": len(records["ours"].turns),
            **{loop: described(records[loop]) for loop in ("ours", other)},
        },
    )


def memory_row(name: str, what: str, records: dict[str, Record], other: str) -> Row:
    """Largest resident sets of the two processes, ours over the other."""
    ours, theirs = records["ours"].peak_bytes, records[other].peak_bytes
    sides = [Side(loop, records[loop].command.shown(), records[loop].peak_bytes / 2**20) for loop in ("ours", other)]
    return Row(name, what, "MiB at most", sides, ratio=ours / theirs, goal=1.0, at_most=True)


def side(what: str, record: Record) -> Side:
    """A loop with its cost of 10,000 targets, over all turns."""
    return Side(what, record.command.shown(), 1e4 * pooled([turn.cost("targets") for turn in record.turns]))


def described(record: Record) -> dict[str, object]:
    """All that was measured of one loop."""
    return {
        "turns": [{"wall": turn.wall, "cpu": turn.cpu, **turn.counts} for turn in record.turns],
        "ready_seconds": record.ready,
        "ready_bytes": record.ready_bytes,
        "peak_bytes": record.peak_bytes,
    }
