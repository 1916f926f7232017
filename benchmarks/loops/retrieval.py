"""Make lists for users of clustered interests under the graph head, exactly or from an index.

    python -m benchmarks.loops.retrieval --items 100000
    python -m benchmarks.loops.retrieval --items 100000 --approximate

Items lie around topics, and the events of a history are items of a few of these, as catalogues and people are. The
recall of the approximate lists is counted against the exact ones, outside of the time that is measured.
"""

import argparse
import time
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from benchmarks.loops.ranking import Size, made
from benchmarks.loops.setting import quiet
from benchmarks.measuring.serving import Counts, Turn, serve
from datamodules.types import Events, Items, Queries, QueryBlock, Ranking
from experiments.config.compose import compose
from lightning_modules.evaluation import rank
from lightning_modules.metrics.hit_rate import HitRateMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.retrieval import PER_NODE, Recall, Retriever, build_index, mean_recall
from lightning_modules.scorers.trained import TrainedScorer

PROTOCOL = EvaluationProtocol((HitRateMetric(),), top_k=10)
USERS, NODES, DIM = 64, 50, 64
TOPICS, TOPICS_OF_USER = 1000, 5
BLOCKS = 4
"""Different users in so many turns; then the first ones come again."""


@dataclass(frozen=True)
class World:
    """topic: of each item; spread: length of an item's own part of its vector over that of its topic's."""

    vectors: Tensor
    topic: Tensor

    @classmethod
    def draw(cls, items: int, spread: float) -> "World":
        """The same one each time."""
        generator = torch.Generator().manual_seed(0)
        topics = torch.randn(TOPICS, DIM, generator=generator)
        topic = torch.randint(TOPICS, (items,), generator=generator)
        return cls(topics[topic] + spread * torch.randn(items, DIM, generator=generator), topic)

    def block(self, number: int) -> QueryBlock:
        """Users who had `NODES` items of `TOPICS_OF_USER` topics each, and ask at the end."""
        generator = torch.Generator().manual_seed(number)
        order, counts = self.topic.argsort(stable=True), self.topic.bincount(minlength=TOPICS)
        own = torch.randint(TOPICS, (USERS, TOPICS_OF_USER), generator=generator)
        chosen = own.gather(1, torch.randint(TOPICS_OF_USER, (USERS, NODES), generator=generator))
        place = (torch.rand(USERS, NODES, generator=generator) * counts[chosen]).long()
        slot = order[(counts.cumsum(0) - counts)[chosen] + place]
        users, position = torch.arange(USERS), torch.full((USERS, 1), NODES - 1)
        zeros = torch.zeros_like(slot)
        return QueryBlock(
            query=users,
            events=Events(users, slot, zeros == 0, zeros, zeros.float()),
            queries=Queries(position, position > 0),
            positives=torch.full((USERS, 1), -1),
            seen=torch.stack([users.repeat_interleave(NODES), slot.flatten()]),
        )


def loop(items: int, spread: float, per_node: int, approximate: bool) -> Turn:
    """A turn makes the lists of one block of users."""
    quiet()
    world = World.draw(items, spread)
    scorer = scorer_of(world)
    blocks = [world.block(number) for number in range(BLOCKS)]
    if not approximate:

        def exactly(number: int) -> Counts:
            rank(scorer, blocks[number % BLOCKS], items, PROTOCOL)
            return {"users": USERS}

        return exactly

    started = time.process_time()
    retriever = Retriever(scorer.model, scorer.vectors, scorer.pool, build_index(scorer.pool), per_node)
    build = time.process_time() - started

    @cache
    def missed(number: int) -> tuple[Ranking, Recall]:
        found = retriever.rank(blocks[number], PROTOCOL)
        with torch.no_grad():
            return found, mean_recall(found.top_ids, rank(scorer, blocks[number], items, PROTOCOL).top_ids)

    def nearby(number: int) -> Counts:
        place = number % BLOCKS
        retriever.rank(blocks[place], PROTOCOL)
        return {
            "users": USERS,
            "build": build,
            "scored": lambda: float(missed(place)[0].n_candidates.float().mean()),
            "recall": lambda: missed(place)[1].mean,
            "low": lambda: missed(place)[1].interval[0],
            "high": lambda: missed(place)[1].interval[1],
        }

    return nearby


def scorer_of(world: World) -> TrainedScorer:
    """The world's items under the graph interest and the graph head."""
    items = len(world.vectors)
    model = made(Size(USERS, NODES, items, DIM), compose(["interest=graph", "head=graph"]))
    model.encoder.backbone.embedding.weight.data = world.vectors
    scorer = TrainedScorer(model, items)
    scorer.prepare(Items(torch.arange(items)))
    return scorer


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Make lists for users of clustered interests.")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--spread", type=float, default=1.0, help="of items around their topics")
    parser.add_argument("--per-node", type=int, default=PER_NODE, help="items that each node brings")
    parser.add_argument("--approximate", action="store_true", help="from an index")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    given = parser.parse_args()
    serve(lambda: loop(given.items, given.spread, given.per_node, given.approximate), given.serve)


if __name__ == "__main__":
    main()
