"""Accuracy against what it costs, with the rows that no other one beats at their price."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.figures.points import Point, front, points_of
from experiments.figures.style import COLOURS, FAINT, figure, logarithmic
from experiments.tables.rows import Row, TableError

COSTS = {"trainable_share": "share of parameters that train", "seconds_per_epoch": "seconds an epoch"}
LEAST = 1e-6
"""Where a cost of nothing stands on a logarithmic axis."""


def draw_pareto(rows: Sequence[Row], metric: str, path: Path) -> None:
    """One panel for each of COSTS. Raises `TableError` where no row has the metric and the costs."""
    panels = {cost: points_of(rows, metric, cost) for cost in COSTS}
    if not all(panels.values()):
        raise TableError(f"no finished row has both {metric} and {' and '.join(COSTS)}")
    with figure(path, 11.6, 5.2) as made:
        for axes, (cost, points) in zip(made.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
            _panel(axes, points, metric)
            axes.set_xlabel(COSTS[cost])
        made.axes[0].set_ylabel(metric)
        made.suptitle("Accuracy against cost; joined: no row is better at the same cost or a lower one", fontsize=10)


def _panel(axes: Any, points: Sequence[Point], metric: str) -> None:
    best = front(points, metric)
    logarithmic(axes)
    for point in points:
        chosen = point in best
        place, colour = max(point.x, LEAST), COLOURS[0] if chosen else "#8a8a8a"
        axes.plot([place, place], [point.low, point.high], color=FAINT, linewidth=1.2, zorder=1)
        axes.plot([place], [point.y], "o", color=colour, markersize=6 if chosen else 4, zorder=3)
        axes.annotate(
            point.name.split(",")[0], (place, point.y), xytext=(4, 3), textcoords="offset points", fontsize=7, zorder=4
        )
    axes.plot([max(point.x, LEAST) for point in best], [point.y for point in best], color=COLOURS[0], zorder=2)
