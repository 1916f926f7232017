"""Rank by the truth that a simulator drew from: the ceiling that no model should beat."""

from jaxtyping import Float
from torch import Tensor

from datamodules.types import Items, QueryBlock, TrainingLog


class OracleScorer:
    """score(item) = p(item | user's latent interests at the moment of the answer) = truth @ topics.

    topics: row r is latent interest r's distribution over the catalogue. It reads `QueryBlock.truth`, which holds the
    answer's own mixture, so it knows what no model can; its accuracy is limited by chance alone.
    `scores` raises `ValueError` where a block carries no truth.
    """

    def __init__(self, topics: Float[Tensor, "R N"]) -> None:
        self.topics = topics

    def fit(self, train: TrainingLog, items: Items) -> None:
        """Nothing is learned."""

    def prepare(self, items: Items) -> None:
        """Nothing depends on the items' texts."""

    def scores(self, block: QueryBlock, start: int, stop: int) -> Float[Tensor, "B C"]:
        """Probability of each item, up to what masking the history leaves."""
        if block.truth is None:
            raise ValueError("the corpus has no known truth, so no oracle can rank it; datamodule=simulator has one")
        return block.truth @ self.topics[:, start:stop].to(block.truth)
