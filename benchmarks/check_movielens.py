"""MovieLens: LoRA on MiniLM with the graph head against popularity, and the hybrid on ml-100k against its limits.

    python -m benchmarks.check_movielens [--epochs N]

Leave-one-out, all items ranked, history masked; equal times are broken by file order.
"""

import argparse
import sys

import numpy as np

from benchmarks.checking import Check, data_dir, shown, train, values
from experiments.runs.read import Run
from lightning_modules.intervals import paired_interval

METRICS = ("hr@10", "ndcg@10")
CORPORA = {
    "latest-small": ("datamodule=movielens",),
    "ml-100k": ("datamodule=atomic",),
}
LORA = (
    "strategy=lora",
    "strategy.alpha=0.5",
    "backbone.dim=64",
    "backbone.whiten=true",
    "head=graph",
    "head.prior=popularity",
    "text.max_tokens=24",
    "datamodule.users_per_step=64",
    "optimizer.lr=5e-3",
    "language_model_lr=5e-3",
    "trainer.max_epochs=3",
)
"""Chosen on validation, and by what two cores do in about twenty minutes a corpus (docs/log.md)."""
HYBRID = (*CORPORA["ml-100k"], "experiment=interest_graph_hybrid", "datamodule.users_per_step=32")
LEAST = {"hr@10": 0.20, "ndcg@10": 0.105}


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.check_movielens", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--epochs", type=int, help="of every model; for a trial of this program")
    chosen = parser.parse_args().epochs
    shorter = () if chosen is None else (f"trainer.max_epochs={chosen}",)
    data_dir()
    check = Check("Does LoRA with the interest graph beat popularity on MovieLens, and how good is the hybrid?")
    for name, corpus in CORPORA.items():
        against_popularity(check, name, train(*corpus, "experiment=popularity"), train(*corpus, *LORA, *shorter))
    hybrid = train(*HYBRID, *shorter)
    for metric, least in LEAST.items():
        found = hybrid.metrics[f"test/{metric}"]
        check.hold(f"ml-100k, hybrid {metric}", shown(hybrid, f"test/{metric}"), f">= {least}", found >= least)
    return check.close()


def against_popularity(check: Check, name: str, popularity: Run, lora: Run) -> None:
    """The paired difference over users, and whether its 95% interval lies above zero."""
    for metric in METRICS:
        ours, theirs = values(lora, metric), values(popularity, metric)
        low, high = paired_interval(ours, theirs)
        found = f"{np.mean(ours - theirs):+.4f} [{low:+.4f}, {high:+.4f}] over {len(ours)} users"
        check.hold(f"{name}, LoRA minus popularity, {metric}", found, "interval above 0", low > 0)


if __name__ == "__main__":
    sys.exit(main())
