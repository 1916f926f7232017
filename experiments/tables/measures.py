"""The numbers of a cell: a metric of a row, averaged over its seeds, with the spread that can be stated honestly."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pyarrow as pa

from datamodules.corpus import DataError
from experiments.config.leaves import look_up
from experiments.runs.read import Run
from experiments.tables.rows import Row, TableError
from experiments.units import accuracy
from lightning_modules.intervals import Interval, mean_interval

ENOUGH_SEEDS = 3
"""From this many seeds on a deviation over seeds is stated; below it, an interval over queries."""

COLD, VALIDATION = "cold", "valid"
POPULARITY = (COLD, "tail", "middle", "head")
"""Slices by how many labels an item has, rarest first."""
LABELS = "datamodule.few_shot"
"""What of a configuration says which labels there are."""


@dataclass(frozen=True)
class Measure:
    """deviation: of the seeds (n - 1 in the denominator). interval: 95%, percentile bootstrap over queries."""

    mean: float
    deviation: float | None = None
    interval: Interval | None = None

    @property
    def spread(self) -> tuple[float, ...]:
        """The deviation, else the two ends of the interval; empty where neither is known."""
        return (self.deviation,) if self.deviation is not None else self.interval or ()

    def __str__(self) -> str:
        if self.deviation is not None:
            return f"{accuracy(self.mean)} ± {accuracy(self.deviation)}"
        if self.interval is not None:
            return f"{accuracy(self.mean)} [{accuracy(self.interval[0])}, {accuracy(self.interval[1])}]"
        return accuracy(self.mean)


@dataclass(frozen=True)
class PerQuery:
    """What a run answers: one value per query, in the order of `query`; user as the raw data name it."""

    run: Run
    query: np.ndarray
    user: np.ndarray
    values: np.ndarray


def measure(row: Row, metric: str) -> Measure | None:
    """The row's mean of a metric such as test/hr@10; None where one of its runs lacks it, or none is finished."""
    if not row.done or any(metric not in run.metrics for run in row.done):
        return None
    values = np.array([run.metrics[metric] for run in row.done], dtype=float)
    if len(values) >= ENOUGH_SEEDS:
        same = bool((values == values[0]).all())  # of which the mean is rounded, and then no value equals it
        return Measure(float(values.mean()), deviation=0.0 if same else float(values.std(ddof=1)))
    if len(values) == 1 and metric in row.done[0].intervals:
        return Measure(float(values[0]), interval=row.done[0].intervals[metric])
    return Measure(float(values.mean()), interval=interval_over_queries(row, metric))


def interval_over_queries(row: Row, metric: str) -> Interval | None:
    """95%, percentile bootstrap, of the mean over the row's seeds; None where its runs keep no values per query, or
    were asked different ones."""
    if len(row.done) == 1 and metric in row.done[0].intervals:
        return row.done[0].intervals[metric]
    found = answers(row, metric)
    if not found or not asked_alike(found, metric):
        return None
    return mean_interval(np.mean([one.values for one in found], axis=0))


def answers(row: Row, metric: str) -> tuple[PerQuery, ...]:
    """What each of the row's runs answers; nothing where one of them keeps no values per query."""
    found = [_of_run(run, metric) for run in row.done]
    kept = tuple(one for one in found if one is not None)
    return kept if len(kept) == len(found) else ()


def asked_alike(found: Sequence[PerQuery], metric: str) -> bool:
    """Whether all were asked the same queries of the same users, so that they can be paired.

    An item is cold where no label is of it, and where labels are of some users validation asks these alone. So runs
    with other labels were asked something else there, and False is all there is to say. Raises `DataError` where there
    is no such reason.
    """
    by_labels = bool({COLD, VALIDATION} & set(metric.split("/")))
    first, *others = found
    for one in others:
        if np.array_equal(first.query, one.query) and np.array_equal(first.user, one.user):
            continue
        if by_labels and labels_differ([first.run, one.run]):
            return False
        raise DataError(
            f"runs {first.run.id} and {one.run.id} were not asked the same queries ({len(first.query)} and "
            f"{len(one.query)}), so they cannot be paired; evaluate both with the same data, split and protocol"
        )
    return True


def labels_differ(runs: Sequence[Run]) -> bool:
    """Whether runs learned from different labels, so that other items are rare and other users may be validated on."""
    labels = [look_up(run.config, LABELS) for run in runs]
    return any(one != labels[0] for one in labels)


def asked_by_labels(runs: Sequence[Run], metric: str) -> bool:
    """Whether the labels decide what a metric is over, and these runs have different ones."""
    return bool(set(POPULARITY) & set(metric.split("/"))) and labels_differ(runs)


def require_metrics(metrics: Sequence[str], runs: Sequence[Run]) -> None:
    """Raise `TableError`, with the nearest names, for a metric that no finished run has."""
    known = sorted({name for run in runs for name in run.metrics})
    for metric in metrics:
        if known and metric not in known:
            near = get_close_matches(metric, known, n=4) or known[:8]
            raise TableError(f"no run has the metric '{metric}'; nearest: {', '.join(near)}")


def _of_run(run: Run, metric: str) -> PerQuery | None:
    split, *middle, name = metric.split("/")
    if not metric.count("/") or (middle and middle != [COLD]) or run.config.get("adaptation"):
        return None  # what adapts a language model answers no queries
    table = run.queries(split)
    if name not in table.column_names:
        return None
    if middle:
        table = table.filter(table[COLD])
    values = np.asarray(table[name].to_numpy(), dtype=float)
    _require_agreement(run, metric, values, split)
    user = np.asarray(table["user"].cast(pa.string()).to_pylist(), dtype=object)
    return PerQuery(run, table["query"].to_numpy(), user, values)


def _require_agreement(run: Run, metric: str, values: np.ndarray, split: str) -> None:
    stated, found = run.metrics[metric], float(values.mean()) if len(values) else float("nan")
    if not np.isclose(stated, found, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise DataError(
            f"the mean of '{metric}' over queries-{split}.parquet is {found:.6f}, but result.json says {stated:.6f}: "
            "the files are of different attempts; remove the folder and start the run again",
            run.folder,
        )
