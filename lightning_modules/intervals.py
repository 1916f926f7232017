"""How far a mean over queries may be off, by the percentile bootstrap.

Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. It covers the chance of which users were asked,
and not that of training: for that, repeat seeds. What is drawn anew is the query, so queries must be independent: one
per user. Only numpy is needed.
"""

import numpy as np

from lightning_modules.slices import Table, metric_names

Interval = tuple[float, float]

DRAWS_AT_ONCE = 2_000_000
"""Bounds memory: so many query numbers (16 MB) are drawn at a time."""


def mean_interval(values: np.ndarray, level: float = 0.95, resamples: int = 1000, seed: int = 0) -> Interval:
    """Interval of the mean of one value per query: the (1 - level) / 2 quantiles, on either side, of resampled means.

    Raises `ValueError` for no values, values that are not finite, or a level outside (0, 1).
    """
    low, high = _quantiles(resampled_means(np.asarray(values)[:, None], resamples, seed), level)
    return float(low[0]), float(high[0])


def paired_interval(
    ours: np.ndarray, theirs: np.ndarray, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Interval of mean(ours - theirs), where row q of both is the same query.

    Pairing removes what makes a query hard for everyone, so the interval is narrower than the two single ones suggest.
    Raises `ValueError` where lengths differ.
    """
    if np.shape(ours) != np.shape(theirs):
        raise ValueError(f"a paired difference needs the same queries on both sides, not {len(ours)} and {len(theirs)}")
    return mean_interval(np.asarray(ours) - np.asarray(theirs), level, resamples, seed)


def table_intervals(
    table: Table, place: str, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Interval of each metric of a per-query table, under the key place/metric; all metrics share the resamples."""
    names = metric_names(table)
    drawn = resampled_means(np.stack([table[name] for name in names], axis=1), resamples, seed)
    low, high = _quantiles(drawn, level)
    return {f"{place}/{name}": (float(low[i]), float(high[i])) for i, name in enumerate(names)}


def resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(resamples, M) means of the columns of values (Q, M) over Q queries drawn with replacement.

    Each resample is a vector of how often a query was drawn, so that the means are one matrix product.
    """
    n = len(values)
    if n == 0 or not np.isfinite(values).all():
        raise ValueError(f"an interval needs at least one value and finite ones; got {n} queries")
    random = np.random.default_rng(seed)
    rows = max(1, DRAWS_AT_ONCE // n)
    parts = []
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = random.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        parts.append(times.astype(np.float64) @ values / n)
    return np.concatenate(parts)


def _quantiles(drawn: np.ndarray, level: float) -> np.ndarray:
    if not 0 < level < 1:
        raise ValueError(f"level={level}: an interval covers a share between 0 and 1, such as 0.95")
    return np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
