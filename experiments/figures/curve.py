"""Accuracy against a setting, one line for each choice on another: label efficiency, sensitivity."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.figures.points import Point, points_of
from experiments.figures.style import COLOURS, MARKERS, figure, logarithmic
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
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            _line(axes, name, points, colour, marker) if points else _level(axes, name, lines[name], metric, colour)
        logarithmic(axes)
        axes.set_xlabel(x)
        axes.set_ylabel(metric)
        axes.legend(frameon=False, fontsize=8)


def _line(axes: object, name: str, points: Sequence[Point], colour: str, marker: str) -> None:
    places = [point.x for point in points]
    axes.plot(places, [point.y for point in points], color=colour, marker=marker, markersize=5, label=name)  # type: ignore[attr-defined]
    axes.fill_between(  # type: ignore[attr-defined]
        places, [point.low for point in points], [point.high for point in points], color=colour, alpha=0.12, linewidth=0
    )


def _level(axes: object, name: str, rows: Sequence[Row], metric: str, colour: str) -> None:
    found = [row.done[0].metrics[metric] for row in rows if row.done and metric in row.done[0].metrics]
    if found:
        axes.axhline(sum(found) / len(found), color=colour, linestyle="--", linewidth=1.2, label=name)  # type: ignore[attr-defined]
