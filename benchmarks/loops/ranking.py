"""Rank users against a whole catalogue under the graph head, by our evaluation or the naive way.

    python -m benchmarks.loops.ranking --users 256 --nodes 50 --items 100000 --dim 384
    python -m benchmarks.loops.ranking --naive

Naive: all cosines of a block of users as one array (B, H, N), cut, weighted, summed, sorted.
"""

import argparse
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.loops.setting import placed, quiet
from benchmarks.measuring.arithmetic import ranking
from benchmarks.measuring.serving import Counts, Turn, serve
from datamodules.batching.query_blocks import BLOCK
from datamodules.types import Events, Items, Queries, QueryBlock
from experiments.config.compose import compose
from experiments.config.instantiate import instantiate
from lightning_modules.backbones.item_id import ItemIdBackbone
from lightning_modules.evaluation import rank
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parts.encoder import Encoder
from lightning_modules.recommender import Recommender
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.strategies.full import FullStrategy


@dataclass(frozen=True)
class Size:
    """Of the task."""

    users: int
    nodes: int
    items: int
    dim: int


def loop(size: Size, naive: bool, device: str = "cpu") -> Turn:
    """A turn ranks all users."""
    quiet()
    config = compose(["interest=graph", "head=graph"])
    model, protocol = made(size, config).to(device), cast(EvaluationProtocol, instantiate(config["metrics"]))
    scorer = TrainedScorer(model, size.items)
    with torch.no_grad():
        scorer.prepare(Items(torch.arange(size.items, device=device)))
    blocks = [placed(block(size, first), device) for first in range(0, size.users, BLOCK)]

    def turn(number: int) -> Counts:
        for asked in blocks:
            if naive:
                naively(model, scorer, asked)
            else:
                rank(scorer, asked, size.items, protocol)
        flop = ranking(size.users, size.nodes, size.items, size.dim)
        return {"flop": flop, "users": size.users}

    return turn


def made(size: Size, config: dict[str, Any]) -> Recommender:
    """A recommender over item vectors of the given width."""
    torch.manual_seed(0)
    facts: dict[str, Any] = {"dim": size.dim, "n_items": size.items, "n_behaviours": 1, "history_length": size.nodes}
    facts |= {"item_counts": torch.ones(size.items, dtype=torch.long), "has_times": False}
    encoder = Encoder(ItemIdBackbone(size.items, size.dim), FullStrategy())
    interest, head = (cast(Any, instantiate(config[seam], **facts)) for seam in ("interest", "head"))
    return Recommender(encoder, interest, head)


def block(size: Size, first: int) -> QueryBlock:
    """Users from number `first` on, with random histories of full length, each asked once at its end."""
    shape = (BLOCK, size.nodes)
    slot = torch.randint(size.items, shape, generator=torch.Generator().manual_seed(first))
    users, position = torch.arange(first, first + BLOCK), torch.full((BLOCK, 1), size.nodes - 1)
    mask, behaviour = torch.ones(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.long)
    return QueryBlock(
        query=users,
        events=Events(users, slot, mask, behaviour, torch.zeros(shape)),
        queries=Queries(position, torch.ones_like(position, dtype=torch.bool)),
        positives=torch.randint(size.items, (BLOCK, 1)),
        seen=torch.stack([torch.arange(BLOCK).repeat_interleave(size.nodes), slot.flatten()]),
    )


@torch.no_grad()
def naively(model: Recommender, scorer: TrainedScorer, asked: QueryBlock) -> Tensor:
    """Ranks of the positives, and with them the whole sorted list."""
    interests = model.ask(scorer.vectors, asked.events, asked.queries).interests
    unit = normalize(scorer.vectors[: scorer.n_items], dim=-1)
    cosine = torch.relu(normalize(interests.nodes, dim=-1) @ unit.T)
    scores = (interests.weights[:, 0, :, None] * cosine).sum(1)
    scores[asked.seen[0], asked.seen[1]] = -torch.inf
    order = scores.argsort(dim=1, descending=True)
    return (order == asked.positives).nonzero()[:, 1]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Rank users against a whole catalogue.")
    for name, default in (("users", 256), ("nodes", 50), ("items", 100_000), ("dim", 384)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--naive", action="store_true", help="all cosines of a block of users at once")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    given = parser.parse_args()
    serve(lambda: loop(Size(given.users, given.nodes, given.items, given.dim), given.naive), given.serve)


if __name__ == "__main__":
    main()
