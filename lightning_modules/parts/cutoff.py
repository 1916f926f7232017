"""What the metrics of a list of K items share: the check of K, and which positives stand in the list."""

from jaxtyping import Bool
from torch import Tensor

from datamodules.types import Ranking


def checked_cutoff(k: int) -> int:
    """Return k, or raise `ValueError` where no list can be that long."""
    if k < 1:
        raise ValueError(f"k={k}: a metric looks at a list of at least 1 item")
    return k


def within(ranking: Ranking, k: int) -> Bool[Tensor, "Q P"]:
    """Which positives are among the first k; a padded one (rank 0) never is."""
    return (ranking.ranks > 0) & (ranking.ranks <= k)
