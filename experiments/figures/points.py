"""Rows of a table as points and levels of a figure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.config.leaves import look_up
from experiments.direction import sign_of
from experiments.tables.measures import interval_over_queries, measure
from experiments.tables.rows import Row
from experiments.units import NOTHING

INTERVAL = "95% interval over queries of the seeds' mean"
"""What stands to either side of every point and level. Where runs keep no values per query, nothing does."""


@dataclass(frozen=True)
class Point:
    """name: of the row. low, high: see INTERVAL."""

    name: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Level:
    """A row that has the metric and no place along x. low, high: see INTERVAL."""

    name: str
    y: float
    low: float
    high: float


def name_of(row: Row) -> str:
    """Its label without what says nothing at its end, so that no two rows have one name; else the first run's id."""
    said = [place for place, part in enumerate(row.label, 1) if part != NOTHING]
    return ", ".join(row.label[: said[-1]]) if said else row.done[0].id


def points_of(rows: Sequence[Row], metric: str, x: str) -> list[Point]:
    """One point for each row that has the metric and x, the name of a cost such as trainable_share, or of a setting of
    the configuration with a number such as datamodule.few_shot.share."""
    found = []
    for row in rows:
        place, heights = _place(row, x), _heights(row, metric)
        if heights is not None and place is not None:
            found.append(Point(name_of(row), place, *heights))
    return found


def levels_of(rows: Sequence[Row], metric: str, x: str) -> list[Level]:
    """One level for each row that has the metric and no number at x."""
    found = []
    for row in rows:
        heights = _heights(row, metric)
        if heights is not None and _place(row, x) is None:
            found.append(Level(name_of(row), *heights))
    return found


def front(points: Sequence[Point], metric: str) -> list[Point]:
    """The Pareto front, cheapest first: points that no other one beats in accuracy at the same or a lower cost."""
    sign, best, kept = sign_of(metric), -np.inf, []
    for point in sorted(points, key=lambda one: (one.x, -sign * one.y)):
        if sign * point.y > best:
            best = sign * point.y
            kept.append(point)
    return kept


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The first part of each name, such as `lora` of `lora, high`; the whole where several begin alike."""
    first = {name: name.partition(",")[0] for name in names}
    times = Counter(first.values())
    return {name: name if times[part] > 1 else part for name, part in first.items()}


def _heights(row: Row, metric: str) -> tuple[float, float, float] | None:
    measured = measure(row, metric)
    if measured is None:
        return None
    return measured.mean, *(interval_over_queries(row, metric) or (measured.mean, measured.mean))


def _place(row: Row, x: str) -> float | None:
    values = [run.cost.get(x, look_up(run.config, x)) for run in row.done]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return float(np.mean(known)) if known and len(known) == len(values) else None
