"""RecBole's SASRec with RecBole's defaults: a turn is one epoch of its own trainer. Runs in RecBole's environment.

    .venv-peers/recbole/bin/python -m benchmarks.peers.recbole_sasrec --data DATA_DIR

Leave-one-out, all items ranked; like RecBole, it does not mask the history when it ranks.
"""

import argparse
import os
import tempfile
from functools import partial
from itertools import islice
from typing import Any

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from benchmarks.measuring.serving import Counts, Turn, serve

MODEL = "SASRec"
SETTINGS: dict[str, Any] = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
    "train_neg_sample_args": None,
    "metrics": ["NDCG", "Hit"],
    "topk": [10],
    "valid_metric": "NDCG@10",
    "show_progress": False,
    "use_gpu": False,
}


class FirstBatches:
    """The first few batches of a loader."""

    def __init__(self, loader: Any, limit: int) -> None:
        self.loader, self.limit = loader, limit

    def __iter__(self) -> Any:
        return islice(iter(self.loader), self.limit)

    def __len__(self) -> int:
        return self.limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


def loop(data_dir: str, batches: int) -> Turn:
    """Trainer and data as `recbole.quick_start` makes them."""
    os.chdir(tempfile.mkdtemp())  # it writes logs and checkpoints wherever it stands
    config = Config(model=MODEL, dataset="ml-100k", config_dict=SETTINGS | {"data_path": data_dir})
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, _, test = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(MODEL)(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], MODEL)(config, model)
    size = config["train_batch_size"]
    limit = min(batches, len(train)) if batches else len(train)
    targets = min(limit * size, len(train.dataset))

    def turn(number: int) -> Counts:
        trainer._train_epoch(FirstBatches(train, limit), number, show_progress=False)
        return {"targets": targets, "epochs": limit / len(train), "ndcg@10": partial(quality, trainer, test)}

    return turn


@torch.no_grad()
def quality(trainer: Any, test: Any) -> float:
    """NDCG@10 on the test items."""
    return float(trainer.evaluate(test, load_best_model=False, show_progress=False)["ndcg@10"])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="RecBole's SASRec on ml-100k.")
    parser.add_argument("--data", required=True, help="the folder that holds ml-100k/")
    parser.add_argument("--batches", type=int, default=0, help="of an epoch (default: all)")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: loop(arguments.data, arguments.batches), arguments.serve)


if __name__ == "__main__":
    main()
