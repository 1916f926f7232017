"""Normalised discounted cumulative gain: the list's worth, where an earlier place is worth more."""

import torch
from jaxtyping import Float
from torch import Tensor

from datamodules.types import Ranking
from lightning_modules.parts.cutoff import checked_cutoff, within


class NdcgMetric:
    """NDCG@k = DCG@k / IDCG@k, DCG@k = sum of value / log2(rank + 1) over the positives among the first k.

    Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20(4), 2002: gain is the value
    itself (linear). The discount log2(rank + 1) is the one in use since Burges et al. (2005), where the paper leaves
    the first two ranks undiscounted. IDCG is the DCG of the query's own positives in order of value, cut at k.
    Values are non-negative. A query without positives, or whose positives are all worth 0, gets 0.
    Raises `ValueError` for k < 1.
    """

    def __init__(self, k: int = 10) -> None:
        self.k = checked_cutoff(k)

    @property
    def name(self) -> str:
        """The key in tables."""
        return f"ndcg@{self.k}"

    def __call__(self, ranking: Ranking) -> Float[Tensor, " Q"]:
        discount = 1 / torch.log2(torch.arange(2.0, self.k + 2, device=ranking.values.device))
        values = ranking.values * (ranking.ranks > 0)
        gains = values * within(ranking, self.k) * discount[ranking.ranks.clamp(1, self.k) - 1]
        best = values.sort(dim=1, descending=True).values[:, : self.k]
        gained, ideal = _sum(gains.sort(dim=1, descending=True).values), _sum(best * discount[: best.shape[1]])
        return torch.where(ideal > 0, gained / ideal.where(ideal > 0, 1.0), 0.0)


def _sum(terms: Float[Tensor, "Q P"]) -> Float[Tensor, " Q"]:
    """Column after column: `Tensor.sum` adds in an order that depends on the width, so on how far a block is padded."""
    return sum(terms.unbind(dim=1), start=terms.new_zeros(len(terms)))
