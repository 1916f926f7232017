"""The table of the main question on MovieLens 100k: every strategy with the same number of trials, and what each costs.

    python -m benchmarks.strategies_ml100k [--workers 2] [--only lora full ...] [--epochs 3]

One frozen run, trained until validation gains no more, is everybody's parent: all begin with its interest and head
(seed 0; a deviation over seeds holds nothing of its own). Then each strategy has one trial at each of two learning
rates of its own (seed 0), and validation chooses. The best five by validation, `full` and `frozen` get two more seeds
at the rate that was chosen. Runs that are finished are not made again, so the same command goes on where it was.
Table, figure and each run's result.json lie in docs/results/strategies_ml100k when it ends.

Cut down to what two cores do in about three hours: the first three of MiniLM's six layers, steps of 256 users, three
epochs. Without the cut: sweep=strategies datamodule=atomic, for a GPU.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.checking import data_dir, run
from benchmarks.sweeping import ONE_THREAD, QUIET, at_once, cores, keep_evidence, runs_of
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run
from experiments.tables.picking import pick

SETTING = "sweep=strategies_ml100k"
RESULTS = ROOT / "docs" / "results" / "strategies_ml100k"
MONITOR = "valid/ndcg@10"
REFERENCE = "full"
ALWAYS = (REFERENCE, "frozen")
RATES = ("middle", "high")
BEST, MORE_SEEDS = 5, (1, 2)
PARENTS_EPOCHS = 40


def main() -> int:
    """Entry point."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser("python -m benchmarks.strategies_ml100k", description=summary)
    parser.add_argument("--workers", type=int, default=cores(), help="runs at a time, a thread each")
    parser.add_argument("--only", nargs="+", default=[], metavar="STRATEGY", help="default: all of conf/strategy")
    parser.add_argument("--epochs", type=int, help="of every run; for a trial of this program")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="default: docs/results/...")
    chosen = parser.parse_args()
    data_dir()
    head = [f"trainer.max_epochs={chosen.epochs or PARENTS_EPOCHS}", "strategy=frozen", f"rate={RATES[-1]}", "seed=0"]
    parent = run("experiments.train", [SETTING, *QUIET, *head], env=ONE_THREAD).path
    words = [SETTING, *QUIET, *([] if chosen.epochs is None else [f"trainer.max_epochs={chosen.epochs}"])]
    words.append(f"parents=[{parent.name}]")
    grid = [
        [f"name=rates-{one}", f"strategy={one}", f"rate={','.join(RATES)}"] for one in chosen.only or every_strategy()
    ]
    manifests = at_once([[*words, *some] for some in grid], chosen.workers)
    picked = pick(runs_of(manifests), ("strategy",), ("rate",), MONITOR).runs
    manifests += at_once([[*words, *some] for some in seeded_again(picked)], chosen.workers)
    write(manifests, chosen.results)
    return 0


def every_strategy() -> list[str]:
    """All of conf/strategy."""
    return sorted(file.stem for file in (ROOT / "conf" / "strategy").glob("*.yaml"))


def seeded_again(picked: Sequence[Run]) -> list[list[str]]:
    """The grids of the best by validation, and of those that are always there, with the other seeds."""
    done = sorted((one for one in picked if one.status == "done"), key=lambda one: -one.metrics[MONITOR])
    rates = {one.settings()["strategy"]: one.settings()["rate"] for one in done}
    names = [name for place, name in enumerate(rates) if place < BEST or name in ALWAYS]
    seeds = f"seed={','.join(map(str, MORE_SEEDS))}"
    return [[f"name=seeds-{name}", f"strategy={name}", f"rate={rates[name]}", seeds] for name in names]


def write(manifests: Sequence[Path], folder: Path) -> None:
    """Table, figure and evidence."""
    paths, how = list(map(str, manifests)), ["--by", "strategy", "--pick", "rate"]
    table = ["--title", folder.name, "--format", "markdown", "--out", str(folder / "table.md")]
    if any(one.settings().get("strategy") == REFERENCE for one in runs_of(manifests)):
        table += ["--reference", f"strategy={REFERENCE}"]
    run("experiments.tabulate", [*paths, *how, *table])
    for form in ("png", "pdf"):
        run("experiments.plot", ["pareto", *paths, *how, "--out", str(folder / f"pareto.{form}")])
    keep_evidence(manifests, folder)
    print(folder)


if __name__ == "__main__":
    sys.exit(main())
