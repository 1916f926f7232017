"""Recommended lists, of any scorer, exact or approximate."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from datamodules.types import QueryBlock, Ranking
from experiments.asking.catalogue import Catalogue
from experiments.asking.questions import Questions
from lightning_modules.metrics.hit_rate import HitRateMetric
from lightning_modules.metrics.protocol import EvaluationProtocol

Ranker = Callable[[QueryBlock, EvaluationProtocol], Ranking]
"""Makes the lists of a block of queries."""


@dataclass(frozen=True)
class Recommended:
    """One item of a list; place counts from 1, item is the corpus's key."""

    place: int
    item: str
    title: str
    score: float


@dataclass(frozen=True)
class Answer:
    """The list of one user. unknown: items of the given history that the corpus lacks. timed: whether its events have
    times. block, row, ranking: where the user stands in what was ranked."""

    user: str
    unknown: tuple[str, ...]
    recommended: tuple[Recommended, ...]
    timed: bool
    block: QueryBlock
    row: int
    ranking: Ranking

    @property
    def ids(self) -> torch.Tensor:
        """Catalogue ids of the list."""
        return self.ranking.top_ids[self.row, : len(self.recommended)]


@torch.no_grad()
def answer(rank: Ranker, questions: Questions, catalogue: Catalogue, k: int, repeat: bool = False) -> list[Answer]:
    """The k best items of each user, in the order of the questions.

    What a user had already is left out unless `repeat`. A list is shorter where fewer than k candidates are left.
    Raises `ValueError` for k below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; a recommended list has at least 1 item")
    protocol = EvaluationProtocol((HitRateMetric(),), mask_history=not repeat, top_k=k)
    found: dict[int, Answer] = {}
    for block in questions:
        ranking = rank(block, protocol)
        for row, query in enumerate(ranking.query.tolist()):
            recommended = _listed(ranking, row, catalogue)
            who, unknown = questions.users[query], questions.unknown[query]
            found[query] = Answer(who, unknown, recommended, questions.timed, block, row, ranking)
    return [found[query] for query in sorted(found)]


def _listed(ranking: Ranking, row: int, catalogue: Catalogue) -> tuple[Recommended, ...]:
    pairs = zip(ranking.top_ids[row].tolist(), ranking.top_scores[row].tolist(), strict=True)
    keys, titles = catalogue.prepared.item_keys, catalogue.titles
    return tuple(
        Recommended(place, keys[item], titles[item], score)
        for place, (item, score) in enumerate(pairs, start=1)
        if item >= 0
    )
