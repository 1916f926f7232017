"""Reciprocal rank: how far down is the first thing the user wanted?"""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from datamodules.types import Ranking
from lightning_modules.parts.cutoff import checked_cutoff, within


class MrrMetric:
    """RR@k = 1 / rank of the best positive if it stands among the first k, else 0; its mean over queries is MRR@k.

    Voorhees, "The TREC-8 question answering track report", 1999. A query without positives gets 0.
    Raises `ValueError` for k < 1.
    """

    def __init__(self, k: int = 10) -> None:
        self.k = checked_cutoff(k)

    @property
    def name(self) -> str:
        """The key in tables."""
        return f"mrr@{self.k}"

    def __call__(self, ranking: Ranking) -> Float[Tensor, " Q"]:
        reciprocal = within(ranking, self.k) / ranking.ranks.clamp(min=1).to(ranking.values.dtype)
        return pad(reciprocal, (0, 1)).amax(dim=1)
