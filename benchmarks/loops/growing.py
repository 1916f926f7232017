"""Our step on a corpus of a given size.

python -m benchmarks.loops.growing --history 200
python -m benchmarks.loops.growing --items 1000000 --users 8
python -m benchmarks.loops.growing --tokens 128 --backbone minilm
"""

import argparse

from benchmarks.loops.epochs import loop
from benchmarks.loops.setting import quiet
from benchmarks.loops.sized import SizedCorpus
from benchmarks.measuring.serving import serve

SPECIAL_TOKENS, HELD_OUT = 2, 3
"""Tokens that a tokenizer adds to a text; events of a user that are no history of a training query: one in validation,
one in test, and the last answer."""


def words(history: int, items: int, tokens: int, users: int, backbone: str) -> list[str]:
    """The composition: id vectors and the full softmax, or a language model that trains and the batch's items."""
    title = tokens - SPECIAL_TOKENS if backbone == "minilm" else 3
    corpus = SizedCorpus(max(2 * users, 64), items, history + HELD_OUT, title)
    common = [*corpus.composition(), "strategy=full", f"objective.history_length={history}"]
    common += [f"datamodule.users_per_step={users}", "head=graph", "interest=graph", "optimizer.lr=1e-5"]
    if backbone == "minilm":
        return [*common, "backbone=minilm", "candidates=batch", "text.max_tokens=128"]
    return [*common, "backbone=item_id", "~text", "candidates=full"]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Our step on a corpus of a given size.")
    for name, default in (("history", 20), ("items", 1000), ("tokens", 16), ("users", 32), ("steps", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--backbone", choices=("item_id", "minilm"), default="item_id")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    given = parser.parse_args()
    quiet()
    chosen = words(given.history, given.items, given.tokens, given.users, given.backbone)
    serve(lambda: loop(chosen, given.steps, ranked=False), given.serve)


if __name__ == "__main__":
    main()
