"""Recommend to everyone what was consumed most: the floor that a personal model has to beat."""

from jaxtyping import Float
from torch import Tensor

from datamodules.types import Items, QueryBlock, TrainingLog


class PopularityScorer:
    """score(item) = number of its training events, for every user alike; an item never seen in training scores 0.

    `scores` raises `RuntimeError` before `fit`.
    """

    def __init__(self) -> None:
        self.counts: Tensor | None = None

    def fit(self, train: TrainingLog, items: Items) -> None:
        """Count the training events. float32 holds counts exactly up to 16.7 million."""
        self.counts = train.counts().float()

    def prepare(self, items: Items) -> None:
        """Nothing depends on the items."""

    def scores(self, block: QueryBlock, start: int, stop: int) -> Float[Tensor, "B C"]:
        """The same row for each user."""
        if self.counts is None:
            raise RuntimeError("PopularityScorer has counted nothing yet: call fit with the training log first")
        return self.counts[start:stop].to(block.query.device).expand(len(block.query), -1)
