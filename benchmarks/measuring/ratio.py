"""How much faster one loop is than another, from turns that alternated."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

Cost = tuple[float, float]
"""Seconds, and how many units of work were done in them."""


@dataclass(frozen=True)
class Ratio:
    """slow / fast of neighbouring turns: the median, the smallest and the largest."""

    median: float
    low: float
    high: float

    def shown(self) -> str:
        """Median and range, with as many digits as mean something."""
        return f"{brief(self.median)}x ({brief(self.low)}-{brief(self.high)})"


def paired_ratio(fast: Sequence[float], slow: Sequence[float]) -> Ratio:
    """slow[k] / fast[k]: neighbours in time, so that what slows the machine for a while cancels out.

    Raises `ValueError` where there are no turns, or not equally many.
    """
    if not fast or len(fast) != len(slow):
        raise ValueError(f"{len(fast)} turns of the fast loop and {len(slow)} of the slow one make no pairs")
    found = sorted(b / a for a, b in zip(fast, slow, strict=True))
    return Ratio(median(found), found[0], found[-1])


def pooled_ratio(fast: Sequence[Cost], slow: Sequence[Cost]) -> Ratio:
    """The ratio of all seconds for all units, for loops whose turns do unequal work. The range is that of leaving out
    one round. Raises `ValueError` where there are no turns, or not equally many."""
    if not fast or len(fast) != len(slow):
        raise ValueError(f"{len(fast)} turns of the fast loop and {len(slow)} of the slow one make no rounds")
    found = [pooled(_without(slow, k)) / pooled(_without(fast, k)) for k in range(len(fast))] if len(fast) > 1 else []
    whole = pooled(slow) / pooled(fast)
    return Ratio(whole, min([whole, *found]), max([whole, *found]))


def pooled(costs: Sequence[Cost]) -> float:
    """Seconds for a unit over all turns."""
    return sum(seconds for seconds, _ in costs) / sum(units for _, units in costs)


def _without(costs: Sequence[Cost], place: int) -> list[Cost]:
    return [cost for k, cost in enumerate(costs) if k != place]


def brief(value: float) -> str:
    """Three digits: 1.2e-05, 0.123, 1.23, 12.3, 123, 1,234."""
    if 0 < abs(value) < 0.005:
        return f"{value:.1e}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"
