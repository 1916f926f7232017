"""The prototype of the hybrid interest graph: the same batches, vectors and mathematics, with dense (B, T, C) scores.

    python -m benchmarks.loops.dense_hybrid experiment=interest_graph_hybrid datamodule=sequences --steps 8

Users come in random order, as a loader that shuffles gives them, and a batch is as long as its longest history.
`--sorted`: our batches, of users with similar length. `--pad`: those too, and every history filled up to the length
that the objective allows, as a prototype does that makes one array of all histories.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils import clip_grad_norm_

from benchmarks.loops.dense import DenseHead, DenseInterest, DenseRecommender
from benchmarks.loops.epochs import first, made
from benchmarks.loops.setting import CLIP
from benchmarks.measuring.serving import Counts, Turn, serve
from datamodules.batching.loaders import TrainingSteps
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import Batch, Events, Items, Queries
from lightning_modules.interest_module import InterestModule


class DenseHybrid(nn.Module):
    """W text + b + e of each item, then the dense maths. `features` are the text's vectors, which never change."""

    def __init__(self, data: InterestDataModule, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.projection = nn.Linear(width, dim)
        self.embedding = nn.Embedding(data.log.n_items, dim)
        interest = DenseInterest(dim, len(data.log.behaviours), data.log.time is not None, dropout)
        self.dense = DenseRecommender(interest, DenseHead(data.log.n_items), dim)

    def forward(self, asked: Batch) -> Tensor:
        return self.dense(self.vectors(asked.items), asked)

    def vectors(self, items: Items) -> Tensor:
        """Before centring, in the order of `items`."""
        assert items.features is not None
        return self.projection(items.features) + self.embedding(items.ids)

    @torch.no_grad()
    def catalogue(self, data: InterestDataModule) -> Tensor:
        """Vectors of all items."""
        return self.vectors(data.items(np.arange(data.log.n_items)))

    def take_weights(self, module: InterestModule) -> None:
        """The parameters of ours."""
        given = cast(nn.Module, module.model.encoder.backbone).state_dict()
        with torch.no_grad():
            self.projection.weight.copy_(given["projection.weight"])
            self.projection.bias.copy_(given["projection.bias"])
            self.embedding.weight.copy_(given["embedding.weight"])
        self.dense.take_weights(module.model)


def plain(data: InterestDataModule, module: InterestModule, example: Batch) -> DenseHybrid:
    """The prototype with the weights that ours starts from."""
    assert example.items.features is not None
    model = DenseHybrid(data, example.items.features.shape[1], module.model.encoder.dim, dropout=0.3)
    model.take_weights(module)
    return model


def loop(words: Sequence[str], steps: int, ordered: bool, fill: bool) -> Turn:
    """A turn takes the first steps of an epoch."""
    data, module, _ = made(words)
    loader = data.train_dataloader()
    model = plain(data, module, next(iter(loader))).train()
    torch.use_deterministic_algorithms(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    longest = data.objective.history_length

    def step(asked: Batch) -> int:
        loss = model(filled(asked, longest) if fill else asked)
        loss.backward()
        clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return len(asked.targets.column)

    def turn(number: int) -> Counts:
        loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
        limit = min(steps or len(loader), len(loader))
        batches = first(loader, limit) if ordered or fill else islice(shuffled(loader.dataset, number), limit)
        targets = sum(step(batch) for batch in batches)
        return {"targets": targets, "epochs": limit / len(loader), "steps": limit}

    return turn


def shuffled(steps: TrainingSteps, epoch: int) -> Iterator[Batch]:
    """Every user once, in random order."""
    rng = np.random.default_rng(epoch)
    order = rng.permutation(len(steps.lengths))
    for start in range(0, len(order), steps.users_per_step):
        yield steps.collator(order[start : start + steps.users_per_step], rng)


def filled(asked: Batch, longest: int) -> Batch:
    """Histories and queries padded to `longest`."""
    more = longest - asked.events.slot.shape[1]
    return replace(
        asked,
        events=replace(asked.events, **_wider(asked.events, more)),
        queries=replace(asked.queries, **_wider(asked.queries, more)),
    )


def _wider(record: Events | Queries, more: int) -> dict[str, Any]:
    rows = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: pad(row, (0, more)) for name, row in rows.items() if row is not None and row.ndim == 2}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="The hybrid interest graph with dense scores.")
    parser.add_argument("words", nargs="+", help="as for experiments.train")
    parser.add_argument("--steps", type=int, default=0, help="of an epoch (default: all)")
    parser.add_argument("--sorted", action="store_true", help="batches of users with similar length, as ours")
    parser.add_argument("--pad", action="store_true", help="fill histories up to the longest that there may be")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: loop(arguments.words, arguments.steps, arguments.sorted, arguments.pad), arguments.serve)


if __name__ == "__main__":
    main()
