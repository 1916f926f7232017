"""Accuracy against a setting, one line for each choice on another: label efficiency, sensitivity."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.figures.points import INTERVAL, Level, Point, levels_of, points_of
from experiments.figures.style import figure, logarithmic, look, name_rows
from experiments.tables.rows import Row, TableError


def draw_curve(lines: Mapping[str, Sequence[Row]], metric: str, x: str, path: Path) -> None:
    """A line with its band for each name. A row without a number at x is level: what no label, or all of them, give.
    Raises `TableError` where no row has a number at x."""
    curves = {name: sorted(points_of(rows, metric, x), key=lambda point: point.x) for name, rows in lines.items()}
    if not any(curves.values()):
        raise TableError(f"no finished row has {metric} and a number at {x}")
    with figure(path, 7.2, 4.6) as made:
        axes = made.subplots()
        for place, (name, points) in enumerate(curves.items()):
            colour, marker = look(place)
            if points:
                _line(axes, name, points, colour, marker)
            levels = levels_of(lines[name], metric, x)
            for level in levels:
                alone = not points and len(levels) == 1
                _level(axes, name if alone else f"{level.name}, no number at {x}", level, colour)
        if all(point.x > 0 for points in curves.values() for point in points):
            logarithmic(axes)  # which has no place for zero and below
        axes.set_xlabel(x)
        axes.set_ylabel(metric)
        axes.set_title(f"Bands: {INTERVAL}", fontsize=8)
        name_rows(made, axes)


def _line(axes: Any, name: str, points: Sequence[Point], colour: str, marker: str) -> None:
    places = [point.x for point in points]
    axes.plot(places, [point.y for point in points], color=colour, marker=marker, markersize=5, label=name)
    low, high = [point.low for point in points], [point.high for point in points]
    axes.fill_between(places, low, high, color=colour, alpha=0.12, linewidth=0)


def _level(axes: Any, name: str, level: Level, colour: str) -> None:
    axes.axhline(level.y, color=colour, linestyle="--", linewidth=1.2, label=name)
    axes.axhspan(level.low, level.high, color=colour, alpha=0.08, linewidth=0)
