"""The numbers of a cell: a metric of a row, averaged over its seeds, with the spread that can be stated honestly."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pyarrow as pa

from datamodules.corpus import DataError
from experiments.runs.read import Run
from experiments.tables.rows import Row, TableError
from experiments.tables.units import accuracy
from lightning_modules.intervals import mean_interval

ENOUGH_SEEDS = 3
"""From this many seeds on a deviation over seeds is stated; below it, an interval over queries."""

LOWER_IS_BETTER = ("loss", "mae", "perplexity", "rmse")


@dataclass(frozen=True)
class Measure:
    """deviation: of the seeds (n - 1 in the denominator). interval: 95%, percentile bootstrap over queries."""

    mean: float
    deviation: float | None = None
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.deviation is not None:
            return f"{accuracy(self.mean)} ± {accuracy(self.deviation)}"
        if self.interval is not None:
            return f"{accuracy(self.mean)} [{accuracy(self.interval[0])}, {accuracy(self.interval[1])}]"
        return accuracy(self.mean)


@dataclass(frozen=True)
class PerQuery:
    """One value per query, in the order of `query`; user as the raw data name it."""

    query: np.ndarray
    user: np.ndarray
    values: np.ndarray


def sign_of(metric: str) -> int:
    """1 where more of the metric is better, -1 where less is."""
    return -1 if metric.rpartition("/")[2] in LOWER_IS_BETTER else 1


def measure(row: Row, metric: str) -> Measure | None:
    """The row's mean of a metric such as test/hr@10; None where one of its runs lacks it, or none is finished."""
    if not row.done or any(metric not in run.metrics for run in row.done):
        return None
    values = np.array([run.metrics[metric] for run in row.done], dtype=float)
    if len(values) >= ENOUGH_SEEDS:
        return Measure(float(values.mean()), deviation=float(values.std(ddof=1)))
    if len(values) == 1 and metric in row.done[0].intervals:
        return Measure(float(values[0]), interval=row.done[0].intervals[metric])
    found = per_query(row, metric)
    return Measure(float(values.mean()), interval=None if found is None else mean_interval(found.values))


def per_query(row: Row, metric: str) -> PerQuery | None:
    """The row's value of each query, averaged over its seeds; None where the runs keep no such values."""
    found = [_of_run(run, metric) for run in row.done]
    kept = [one for one in found if one is not None]
    if not kept or len(kept) < len(found):
        return None
    for run, one in zip(row.done, kept, strict=True):
        require_same_queries(kept[0], one, row.done[0], run)
    return PerQuery(kept[0].query, kept[0].user, np.mean([one.values for one in kept], axis=0))


def require_same_queries(left: PerQuery, right: PerQuery, left_run: Run, right_run: Run) -> None:
    """Raise `DataError` unless both were asked the same queries of the same users."""
    if not (np.array_equal(left.query, right.query) and np.array_equal(left.user, right.user)):
        raise DataError(
            f"runs {left_run.id} and {right_run.id} were not asked the same queries ({len(left.query)} and "
            f"{len(right.query)}), so they cannot be paired; evaluate both with the same data, split and protocol"
        )


def require_metrics(metrics: Sequence[str], runs: Sequence[Run]) -> None:
    """Raise `TableError`, with the nearest names, for a metric that no finished run has."""
    known = sorted({name for run in runs for name in run.metrics})
    for metric in metrics:
        if known and metric not in known:
            near = get_close_matches(metric, known, n=4) or known[:8]
            raise TableError(f"no run has the metric '{metric}'; nearest: {', '.join(near)}")


def _of_run(run: Run, metric: str) -> PerQuery | None:
    split, *middle, name = metric.split("/")
    if not metric.count("/") or (middle and middle != ["cold"]) or run.config.get("adaptation"):
        return None  # what adapts a language model answers no queries
    table = run.queries(split)
    if name not in table.column_names:
        return None
    if middle:
        table = table.filter(table["cold"])
    values = np.asarray(table[name].to_numpy(), dtype=float)
    _require_agreement(run, metric, values, split)
    return PerQuery(
        table["query"].to_numpy(), np.asarray(table["user"].cast(pa.string()).to_pylist(), dtype=object), values
    )


def _require_agreement(run: Run, metric: str, values: np.ndarray, split: str) -> None:
    stated, found = run.metrics[metric], float(values.mean()) if len(values) else float("nan")
    if not np.isclose(stated, found, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise DataError(
            f"the mean of '{metric}' over queries-{split}.parquet is {found:.6f}, but result.json says {stated:.6f}: "
            "the files are of different attempts; remove the folder and start the run again",
            run.folder,
        )
