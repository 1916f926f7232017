"""Rows: SASRec on ml-100k, our experiment against RecBole's, by time and by NDCG@10 after equally many epochs.

Both rank all items on the leave-one-out test items and mask nothing, as RecBole does. RecBole has its own defaults: 48
steps an epoch at a rate of 0.001. Of ours, users in a step and rate were chosen by validation after three epochs.
"""

from functools import partial

from benchmarks.checking import data_dir
from benchmarks.measuring.ratio import paired_ratio
from benchmarks.measuring.row import Bench, Row, Side
from benchmarks.measuring.served import Command, Record, alternate
from benchmarks.peers.environment import peer_python, peer_versions
from benchmarks.rows.tuning import described

GOAL = 30.0
EPOCHS, MANY_EPOCHS = 3, 10
CHOSEN = ("datamodule.users_per_step=16", "optimizer.lr=0.003")
QUICK_STEPS, QUICK_BATCHES = 2, 2
DATA = "$INTERESTLAB_DATA"


def benches() -> dict[str, Bench]:
    """A few epochs, and a longer run."""
    about = "SASRec on ml-100k against RecBole 1.2.1"
    return {
        "sasrec": Bench(f"{about}, {EPOCHS} epochs", partial(measure, EPOCHS), minutes=18),
        "sasrec_long": Bench(f"{about}, {MANY_EPOCHS} epochs", partial(measure, MANY_EPOCHS), minutes=50),
    }


def measure(epochs: int, quick: bool) -> list[Row]:
    """Epochs in turn; the first warms both up and is not timed, but it trains."""
    python = peer_python("recbole")
    ours = ["-m", "benchmarks.loops.epochs", "experiment=sasrec", "datamodule=atomic", "metrics.mask_history=false"]
    ours += CHOSEN
    ours += [f"trainer.max_epochs={epochs}", "--rank"]
    recbole = ["-m", "benchmarks.peers.recbole_sasrec", "--data", str(data_dir())]
    if quick:
        ours += ["--steps", str(QUICK_STEPS)]
        recbole += ["--batches", str(QUICK_BATCHES)]
    commands = {"ours": Command(tuple(ours)), "recbole": Command(tuple(recbole), python)}
    records = alternate(commands, 1 if quick else epochs - 1)
    versions = peer_versions(python, ("recbole", "torch", "numpy", "pandas"))
    name = "sasrec" if epochs == EPOCHS else "sasrec_long"
    return [speed(name, records, versions), quality(name, records, epochs)]


def speed(name: str, records: dict[str, Record], versions: dict[str, str]) -> Row:
    """Seconds for equally many targets."""
    found, wall = (
        paired_ratio(*([turn.rate("targets", clock) for turn in records[loop].turns] for loop in ("ours", "recbole")))
        for clock in ("cpu", "wall")
    )
    sides = [Side(loop, shown(record), epoch_seconds(record)) for loop, record in records.items()]
    detail = {
        "ratio_by_wall_clock": wall.median,
        "peer_versions": versions,
        **{loop: described(record) for loop, record in records.items()},
    }
    what = "SASRec on ml-100k, an epoch"
    return Row(name, what, "CPU seconds", sides, found.median, GOAL, (found.low, found.high), detail=detail)


def quality(name: str, records: dict[str, Record], epochs: int) -> Row:
    """NDCG@10 after the last epoch, ours over RecBole's."""
    last = {loop: record.turns[-1].counts["ndcg@10"] for loop, record in records.items()}
    sides = [Side(loop, shown(record), last[loop]) for loop, record in records.items()]
    what = f"SASRec on ml-100k, NDCG@10 after {epochs} epochs"
    return Row(f"{name}_ndcg", what, "NDCG@10, ours over RecBole's", sides, last["ours"] / last["recbole"], 1.0)


def epoch_seconds(record: Record) -> float:
    """CPU seconds of a whole epoch: a slice is scaled up."""
    rates = sorted(turn.rate("epochs") for turn in record.turns)
    return rates[len(rates) // 2]


def shown(record: Record) -> str:
    """Without the folder of data, which is each machine's own."""
    return record.command.shown().replace(str(data_dir()), DATA)
