"""Compare models on the same queries: paired tests, their correction, and intervals of the difference.

What is compared is one value per query, averaged over the seeds that both models have: the spread that counts is that
between users. A mean over three seeds is spread less than one over a single seed, so the differences of two equal
models would lean to one side, and a test that asks whether they are symmetric would find that.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import stats

from lightning_modules.intervals import paired_interval

Row = TypeVar("Row", bound=Hashable)

Seeds = Mapping[int | None, np.ndarray]
"""Of each seed of a row one value per query, in the same order of queries for all."""

POWER = 0.8
"""With which probability a difference that is called detectable is found."""

LEVEL = 0.05
"""A comparison whose corrected p is below this is called significant; intervals are made at 1 - LEVEL."""


@dataclass(frozen=True)
class Comparison:
    """A row against the reference: mean of the paired differences (row minus reference), its bootstrap interval, the
    p of Wilcoxon's signed-rank test, and the same corrected for all comparisons of the column. seeds: how many both
    have. t: p of the paired t-test. effect: the mean in deviations of the differences (Cohen 1988, d_z). detectable:
    see there."""

    difference: float
    interval: tuple[float, float]
    p: float
    adjusted: float
    seeds: int
    t: float
    effect: float
    detectable: float

    @property
    def significant(self) -> bool:
        return self.adjusted < LEVEL


class Pair(NamedTuple):
    """Two rows' values per query, averaged over the same seeds."""

    ours: np.ndarray
    theirs: np.ndarray
    seeds: int

    @property
    def differences(self) -> np.ndarray:
        """Ours minus theirs."""
        return minus(self.ours, self.theirs)


def compare(values: Mapping[Row, Seeds], reference: Row) -> dict[Row, Comparison]:
    """Every other row against the reference, but for those that have no seed in common with it."""
    others = [row for row in values if row != reference and values[row].keys() & values[reference].keys()]
    pairs = [over_common_seeds(values[row], values[reference]) for row in others]
    raw = [signed_rank(pair.differences) for pair in pairs]
    return {
        row: Comparison(
            difference=float(np.mean(pair.differences)),
            interval=paired_interval(pair.ours, pair.theirs, level=1 - LEVEL),
            p=p,
            adjusted=float(adjusted),
            seeds=pair.seeds,
            t=t_test(pair.differences),
            effect=effect_size(pair.differences),
            detectable=detectable(pair.differences),
        )
        for row, pair, p, adjusted in zip(others, pairs, raw, holm(raw), strict=True)
    }


def minus(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Differences per query of means over seeds. In floating point 1 less two thirds is not one third; what must be 0,
    or tie with another in a test by ranks, is made so, for twelve decimals tell all metrics of a query apart."""
    return np.round(ours - theirs, 12)


def over_common_seeds(ours: Seeds, theirs: Seeds) -> Pair:
    """Both, of the seeds that both have; there must be one."""
    common = [seed for seed in ours if seed in theirs]
    left, right = (np.mean([values[seed] for seed in common], axis=0) for values in (ours, theirs))
    return Pair(left, right, len(common))


def signed_rank(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test (Wilcoxon 1945): is the distribution of differences symmetric about 0?

    Queries on which both rows do equally are dropped, as in the paper; with none left p is 1. On a metric that is 0 or
    1, such as hr@10, it is the sign test.
    """
    unequal = differences[differences != 0]
    return float(stats.wilcoxon(unequal).pvalue) if len(unequal) else 1.0


def t_test(differences: np.ndarray) -> float:
    """Two-sided p of the paired t-test (Student 1908): is the mean difference 0? It asks about the mean that a table
    shows, where Wilcoxon's test asks about symmetry; on thousands of queries it needs no normal distribution. Where all
    differences are equal p is 1 if they are 0, else 0."""
    if not _deviation(differences):
        return float(not np.any(differences))
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def effect_size(differences: np.ndarray) -> float:
    """Mean over deviation of the paired differences (d_z, Cohen 1988, section 2.3.5); 0 where there is no difference,
    infinite where it is the same everywhere."""
    mean, deviation = float(np.mean(differences)), _deviation(differences)
    return mean / deviation if deviation else (math.copysign(math.inf, mean) if mean else 0.0)


def detectable(differences: np.ndarray, power: float = POWER) -> float:
    """The mean difference that so many queries of such differences find with probability `power` in a two-sided test at
    LEVEL: (z_{1 - LEVEL/2} + z_power) * deviation / sqrt(n), by the normal approximation (Cohen 1988, section 2.4), and
    without a correction for several comparisons. Smaller ones are neither shown nor excluded."""
    if len(differences) < 2:
        return math.inf
    spread = _deviation(differences) / math.sqrt(len(differences))
    return float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(power)) * spread


def _deviation(differences: np.ndarray) -> float:
    """With n - 1 in the denominator; 0 where all are the same up to rounding, or there is one."""
    if np.ptp(differences) <= 1e-9 * np.abs(differences).max():
        return 0.0
    return float(np.std(differences, ddof=1))


def holm(p: Sequence[float]) -> np.ndarray:
    """Adjusted p values (Holm 1979): the i-th smallest of m times m - i + 1, never below a smaller one's, at most 1.

    Below a level they are rejected exactly where Holm's step-down procedure rejects at that level.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
