"""What few labels do on MovieLens 100k: strategies on 1% to all of the users, with and without adaptation first.

    python -m benchmarks.label_efficiency [--workers 2] [--epochs N]

The setting of benchmarks.strategies_ml100k; no run has a parent that saw more labels than itself. What no label gives
is the untrained scorer. The adapted language model has read the texts of all items and the histories of the same share
of users. Fewer users make fewer steps an epoch, so they get more epochs. Tables, figures and evidence lie in
docs/results/label_efficiency when it ends.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.checking import data_dir, run
from benchmarks.sweeping import ONE_THREAD, QUIET, at_once, cores, keep_evidence, runs_of
from experiments.runs.provenance import ROOT

SETTING = "sweep=strategies_ml100k"
SHARE = "datamodule.few_shot.share"
RESULTS = ROOT / "docs" / "results" / "label_efficiency"
STRATEGIES = ("full", "lora", "pfeiffer", "frozen")
EPOCHS = {0.01: 20, 0.05: 20, 0.2: 12, 1.0: 3}
"""By the share of users; early stopping ends most of them before."""

TEXT = ("datamodule=atomic", "backbone=minilm", "backbone.first_layers=3", "text.max_tokens=24")


def main() -> int:
    """Entry point."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser("python -m benchmarks.label_efficiency", description=summary)
    parser.add_argument("--workers", type=int, default=cores(), help="runs at a time, a thread each")
    parser.add_argument("--epochs", type=int, help="of every run; for a trial of this program")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="default: docs/results/...")
    chosen = parser.parse_args()
    data_dir()
    plain = at_once([grid(share, chosen.epochs) for share in EPOCHS], chosen.workers)
    parents = {share: adapted_by(share, chosen.epochs) for share in EPOCHS}
    adapted = at_once([grid(share, chosen.epochs, parents[share]) for share in EPOCHS], chosen.workers)
    untrained = at_once([["name=untrained", "experiment=untrained", *TEXT, "backbone.whiten=true", "logger=none"]], 1)
    write(plain, adapted, untrained, chosen.results)
    return 0


def grid(share: float, epochs: int | None, parent: str | None = None) -> list[str]:
    """One sweep: all strategies on a share of the users."""
    words = [SETTING, *QUIET, f"strategy={','.join(STRATEGIES)}", f"trainer.max_epochs={epochs or EPOCHS[share]}"]
    words += ["few_shot=share", f"{SHARE}={share}"]
    if parent is None:
        return [*words, f"name=labels-{share}"]
    return [*words, f"name=adapted-{share}", f"parents=[{parent}]"]


def adapted_by(share: float, epochs: int | None) -> str:
    """The id of a run that adapted the language model to the items and to the histories of the same users."""
    words = [*TEXT, "logger=none", "callbacks.learning_rate=null", "few_shot=share", f"{SHARE}={share}"]
    words += [] if epochs is None else [f"trainer.max_epochs={epochs}"]
    return run("experiments.adapt", words, env=ONE_THREAD).path.name


def write(plain: Sequence[Path], adapted: Sequence[Path], untrained: Sequence[Path], folder: Path) -> None:
    """Tables, figures and evidence."""
    for name, manifests in (("plain", plain), ("adapted", adapted)):
        paths = list(map(str, (*manifests, *untrained)))
        run("experiments.tabulate", [*paths, "--by", "strategy", SHARE, "--out", str(folder / f"{name}.md")])
        for form in ("png", "pdf"):
            how = ["--by", "strategy", "--x", SHARE, "--out", str(folder / f"{name}.{form}")]
            run("experiments.plot", ["curve", *paths, *how])
    keep_evidence([*plain, *adapted, *untrained], folder)
    print(f"{len(runs_of([*plain, *adapted, *untrained]))} runs")
    print(folder)


if __name__ == "__main__":
    sys.exit(main())
