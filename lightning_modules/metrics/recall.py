"""Recall: how much of what the user wanted is in the list?"""

from jaxtyping import Float
from torch import Tensor

from datamodules.types import Ranking
from lightning_modules.parts.cutoff import checked_cutoff, within


class RecallMetric:
    """Recall@k = positives among the first k / all positives of the query.

    The denominator is the number of positives, as in textbooks and most of the field, and not min(k, positives): a
    query with more than k positives cannot reach 1. Values do not enter. A query without positives gets 0.
    Raises `ValueError` for k < 1.
    """

    def __init__(self, k: int = 10) -> None:
        self.k = checked_cutoff(k)

    @property
    def name(self) -> str:
        """The key in tables."""
        return f"recall@{self.k}"

    def __call__(self, ranking: Ranking) -> Float[Tensor, " Q"]:
        positives = (ranking.ranks > 0).sum(dim=1).clamp(min=1)
        return within(ranking, self.k).sum(dim=1).to(ranking.values.dtype) / positives
