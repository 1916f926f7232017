"""What few labels do on MovieLens 100k: strategies on 1% to all of the users, with and without adaptation first.

    python -m benchmarks.label_efficiency [--workers 2] [--epochs N]

The setting of the table strategies_ml100k, its parent too: for each share a run around the frozen language model, with
the same labels, gives the others its interest and head. What no label gives is the untrained scorer. The adapted
language model has read the texts of all items and the histories of the same share of users. Fewer users make fewer
steps an epoch, so they get more epochs. Validation asks the same share of users: nine of them at 1%, so that NDCG@100
chooses the epoch, which nine users say more of than NDCG@10. Tables, figures and evidence lie in
docs/results/label_efficiency when it ends.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks import checking
from benchmarks.checking import data_dir, run
from datamodules.storage import atomic_write
from experiments.config.hardware import cores
from experiments.reproduction.evidence import keep_evidence
from experiments.reproduction.runs import QUIET, at_once, runs_of
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run
from experiments.tables.grid import Cell, Grid, Report
from experiments.tables.markdown import markdown
from experiments.tables.rows import value_of
from experiments.tables.statistics import holm, signed_rank
from lightning_modules.intervals import paired_interval

SETTING = "sweep=strategies_ml100k"
SHARE = "datamodule.few_shot.share"
RESULTS = ROOT / "docs" / "results" / "label_efficiency"
STRATEGIES = ("full", "lora", "pfeiffer", "frozen")
EPOCHS = {0.01: 20, 0.05: 20, 0.2: 10, 1.0: 3}
"""By the share of users: 20 to 30 steps."""
PARENTS_EPOCHS = {0.01: 200, 0.05: 200, 0.2: 100, 1.0: 40}
"""Of the run around the frozen language model: 200 to 400 steps."""

METRIC = "ndcg@10"
GAINS = (
    f"test/{METRIC} of the run that began from an adapted language model, less that of the run that did not, of the "
    "same strategy and users; 95% percentile bootstrap interval over queries. Wilcoxon's signed-rank test, "
    "Holm-corrected for all rows."
)
METRICS = ", ".join(
    f"{{_target_: lightning_modules.metrics.{name}, k: {k}}}"
    for name, k in (("ndcg.NdcgMetric", 10), ("hit_rate.HitRateMetric", 10), ("ndcg.NdcgMetric", 100))
)
MEASURED = (f"metrics.metrics=[{METRICS}]", "monitor=valid/ndcg@100")
TEXT = ("datamodule=atomic", "backbone=minilm", "backbone.first_layers=3", "text.max_tokens=24")
UNTRAINED = ("name=untrained", "experiment=untrained", *TEXT, "backbone.whiten=true", "logger=none", MEASURED[0])


def main() -> int:
    """Entry point."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser("python -m benchmarks.label_efficiency", description=summary)
    parser.add_argument("--workers", type=int, default=cores(), help="runs at a time, a thread each")
    parser.add_argument("--epochs", type=int, help="of every run; for a trial of this program")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="default: docs/results/...")
    chosen = parser.parse_args()
    data_dir()
    untrained = at_once([UNTRAINED], 1)
    plain = curves("labels", {share: [] for share in EPOCHS}, chosen.workers, chosen.epochs)
    models = adapted_models(chosen.workers, chosen.epochs)
    adapted = curves("adapted", models, chosen.workers, chosen.epochs)
    write(plain, adapted, untrained, chosen.results)
    return 0


def curves(name: str, models: Mapping[float, list[str]], workers: int, epochs: int | None) -> list[Path]:
    """A sweep of all strategies for each share of the users. models: runs that adapted the language model, by share."""

    def words(share: float, what: str, length: int, parents: Sequence[str]) -> list[str]:
        told = [SETTING, *QUIET, *MEASURED, "callbacks.early_stopping=null", "few_shot=share", f"{SHARE}={share}"]
        told += [f"name={name}-{share}-{what}", f"trainer.max_epochs={epochs or length}"]
        return [*told, f"parents=[{','.join(parents)}]"]

    around = [words(share, "head", PARENTS_EPOCHS[share], models[share]) for share in EPOCHS]
    heads = at_once([[*one, "strategy=frozen", "rate=high"] for one in around], workers)
    parents = {share: [*models[share], runs_of([head])[0].id] for share, head in zip(EPOCHS, heads, strict=True)}
    tuned = [words(share, "all", EPOCHS[share], parents[share]) for share in EPOCHS]
    return at_once([[*one, f"strategy={','.join(STRATEGIES)}"] for one in tuned], workers)


def adapted_models(workers: int, epochs: int | None) -> dict[float, list[str]]:
    """By the share of users, the run that adapted the language model; the longest begins first."""
    shares = sorted(EPOCHS, reverse=True)
    with ThreadPoolExecutor(workers) as pool:
        made = pool.map(lambda share: adapted_by(share, epochs), shares)
        return {share: [run] for share, run in zip(shares, made, strict=True)}


def adapted_by(share: float, epochs: int | None) -> str:
    """The id of a run that adapted the language model to the items and to the histories of the same users."""
    words = [*TEXT, "logger=none", "callbacks.learning_rate=null", "few_shot=share", f"{SHARE}={share}"]
    words += [] if epochs is None else [f"trainer.max_epochs={epochs}"]
    return run("experiments.adapt", words, env={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}).path.name


def write(plain: Sequence[Path], adapted: Sequence[Path], untrained: Sequence[Path], folder: Path) -> None:
    """Tables, figures and evidence."""
    for name, manifests in (("plain", plain), ("adapted", adapted)):
        paths = list(map(str, (*manifests, *untrained)))
        table = ["--by", "strategy", SHARE, "--title", f"{folder.name}, {name}", "--out", str(folder / f"{name}.md")]
        run("experiments.tabulate", [*paths, *table])
        for form in ("png", "pdf"):
            how = ["--by", "strategy", "--x", SHARE, "--out", str(folder / f"{name}.{form}")]
            run("experiments.plot", ["curve", *paths, *how])
    runs = runs_of([*plain, *adapted, *untrained])
    gains = adaptation_gains(runs_of(plain), runs_of(adapted))
    atomic_write(folder / "gains.md", markdown(Report((gains,), (GAINS,), ())))
    keep_evidence(runs, folder)
    print(f"{len(runs)} runs")
    print(folder)


def adaptation_gains(plain: Sequence[Run], adapted: Sequence[Run]) -> Grid:
    """Each adapted run against the plain one of the same strategy and labels, query by query."""
    pairs = {_cell(one): (one, other) for one in adapted for other in plain if _cell(one) == _cell(other)}
    values = [tuple(checking.values(run, METRIC) for run in pair) for pair in pairs.values()]
    corrected = holm([signed_rank(after - before) for after, before in values])
    rows = []
    for cell, (after, before), p in zip(pairs, values, corrected, strict=True):
        low, high = paired_interval(after, before)
        gain = f"{np.mean(after - before):+.4f}"
        rows.append(tuple(map(Cell, (*cell, gain, f"[{low:+.4f}, {high:+.4f}]", f"{p:.3f}"))))
    header = ("strategy", "share of users", "gain", "95% interval", "p (Holm)")
    return Grid("Adaptation first, less none", header, tuple(rows), names=2)


def _cell(run: Run) -> tuple[str, str]:
    return value_of(run, "strategy"), value_of(run, SHARE)


if __name__ == "__main__":
    sys.exit(main())
