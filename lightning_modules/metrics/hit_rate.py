"""Hit rate: does the list hold anything the user wanted?"""

from jaxtyping import Float
from torch import Tensor

from datamodules.types import Ranking
from lightning_modules.parts.cutoff import checked_cutoff, within


class HitRateMetric:
    """HR@k = 1 if any positive stands among the first k, else 0. With one positive a query it equals recall.

    A query without positives gets 0. Raises `ValueError` for k < 1.
    """

    def __init__(self, k: int = 10) -> None:
        self.k = checked_cutoff(k)

    @property
    def name(self) -> str:
        """The key in tables."""
        return f"hr@{self.k}"

    def __call__(self, ranking: Ranking) -> Float[Tensor, " Q"]:
        return within(ranking, self.k).any(dim=1).to(ranking.values.dtype)
