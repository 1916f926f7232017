"""Accuracy against what it costs, with the rows that no other one beats at their price."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.figures.labels import write_names
from experiments.figures.points import INTERVAL, Level, Point, front, levels_of, points_of, short_names
from experiments.figures.style import COLOURS, FAINT, figure, logarithmic
from experiments.tables.rows import Row, TableError

COSTS = {
    "trainable_share": "share of parameters that train",
    "peak_memory_bytes": "peak memory, GiB",
    "seconds_per_epoch": "seconds an epoch",
}
UNITS = {"peak_memory_bytes": 2**30}
LEAST = 1e-6
"""Where a cost of nothing stands on a logarithmic axis."""
BEATEN = "#8a8a8a"


def draw_pareto(rows: Sequence[Row], metric: str, path: Path) -> None:
    """One panel for each of COSTS; a row that has no such cost, as it trains nothing, is level. Raises `TableError`
    where no row has the metric and the costs."""
    panels = {
        cost: [replace(point, x=point.x / UNITS.get(cost, 1)) for point in points_of(rows, metric, cost)]
        for cost in COSTS
    }
    if not all(panels.values()):
        raise TableError(f"no finished row has both {metric} and {' and '.join(COSTS)}")
    with figure(path, 14.4, 5.2) as made:
        drawn = list(zip(made.subplots(1, len(panels), sharey=True), panels.items(), strict=True))
        for axes, (cost, points) in drawn:
            _panel(axes, points, metric)
            _levels(axes, levels_of(rows, metric, cost))
            axes.set_xlabel(COSTS[cost])
        made.axes[0].set_ylabel(metric)
        joined = "joined: no row that trains is better at the same cost or a lower one"
        made.suptitle(f"Accuracy against cost; {joined}. Bars: {INTERVAL}", fontsize=10)
        for axes, (_, points) in drawn:
            names = short_names([point.name for point in points])
            write_names(made, axes, {names[point.name]: (max(point.x, LEAST), point.y) for point in points})


def _panel(axes: Any, points: Sequence[Point], metric: str) -> None:
    best = front(points, metric)
    logarithmic(axes)
    for point in points:
        chosen = point in best
        place, colour = max(point.x, LEAST), COLOURS[0] if chosen else BEATEN
        axes.plot([place, place], [point.low, point.high], color=FAINT, linewidth=0.8, zorder=1)
        axes.plot([place], [point.y], "o", color=colour, markersize=6 if chosen else 4, zorder=3)
    axes.plot([max(point.x, LEAST) for point in best], [point.y for point in best], color=COLOURS[0], zorder=2)


def _levels(axes: Any, levels: Sequence[Level]) -> None:
    """A dashed line across the panel, named at its right end."""
    names = short_names([level.name for level in levels])
    for level in levels:
        axes.axhline(level.y, color=BEATEN, linestyle="--", linewidth=1, zorder=1)
        axes.axhspan(level.low, level.high, color=BEATEN, alpha=0.08, linewidth=0, zorder=0)
        axes.annotate(
            names[level.name],
            (1, level.y),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7,
            zorder=4,
        )
