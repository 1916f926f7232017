"""Amazon Beauty: popularity, and the interest graph over frozen text plus item ids, against their limits.

    python -m benchmarks.check_beauty [--epochs 15]

Leave-one-out, all 12,101 items ranked, history masked. The public file keeps a day's items in catalogue order and has
no times to shuffle them by, so every number on it profits from that order, those published elsewhere too.
"""

import argparse
import sys

from benchmarks.checking import Check, data_dir, shown, train

DATA = ("datamodule=sequences", "datamodule.source.name=amazon_beauty")
HYBRID = (*DATA, "experiment=interest_graph_hybrid")
EPOCHS = 15

POPULARITY = {"test/hr@10": (0.0110, 0.0115), "test/ndcg@10": (0.0053, 0.0055)}
LEAST = {"test/hr@10": 0.085, "test/ndcg@10": 0.048}


def words(epochs: int) -> tuple[str, ...]:
    """The command of the hybrid's run; other checks find the same run by it."""
    return (*HYBRID, f"trainer.max_epochs={epochs}")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.check_beauty", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"at most (default and limit: {EPOCHS})")
    epochs = parser.parse_args().epochs
    data_dir()
    check = Check("Does the interest graph rank Amazon Beauty as well as it should?")
    popularity = train(*DATA, "experiment=popularity")
    hybrid = train(*words(epochs))
    for metric, (low, high) in POPULARITY.items():
        found = round(popularity.metrics[metric], 4)
        check.hold(f"popularity {metric}", shown(popularity, metric), f"{low:.4f} to {high:.4f}", low <= found <= high)
    for metric, least in LEAST.items():
        check.hold(f"interest graph {metric}", shown(hybrid, metric), f">= {least}", hybrid.metrics[metric] >= least)
    check.hold("epochs", hybrid.cost["epochs"], f"<= {EPOCHS}", (hybrid.cost["epochs"] or 0) <= EPOCHS)
    return check.close()


if __name__ == "__main__":
    sys.exit(main())
