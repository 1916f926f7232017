"""Rows of a table as points of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.tables.measures import measure, sign_of
from experiments.tables.rows import Row, look_up


@dataclass(frozen=True)
class Point:
    """name: of the row. low, high: the 95% interval over queries, or from three seeds up a deviation to either side."""

    name: str
    x: float
    y: float
    low: float
    high: float


def points_of(rows: Sequence[Row], metric: str, x: str) -> list[Point]:
    """One point for each row that has the metric and x, the name of a cost such as trainable_share, or of a setting of
    the configuration with a number such as datamodule.few_shot.share."""
    found = []
    for row in rows:
        measured, place = measure(row, metric), _place(row, x)
        if measured is not None and place is not None:
            spread = measured.deviation
            low, high = measured.interval or (measured.mean, measured.mean)
            if spread is not None:
                low, high = measured.mean - spread, measured.mean + spread
            found.append(Point(", ".join(row.label) or row.done[0].id, place, measured.mean, low, high))
    return found


def front(points: Sequence[Point], metric: str) -> list[Point]:
    """The Pareto front, cheapest first: points that no other one beats in accuracy at the same or a lower cost."""
    sign, best, kept = sign_of(metric), -np.inf, []
    for point in sorted(points, key=lambda one: (one.x, -sign * one.y)):
        if sign * point.y > best:
            best = sign * point.y
            kept.append(point)
    return kept


def _place(row: Row, x: str) -> float | None:
    values = [run.cost.get(x, look_up(run.config, x)) for run in row.done]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return float(np.mean(known)) if known and len(known) == len(values) else None
