"""How much a metric depends on two settings."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from experiments.figures.style import figure
from experiments.tables.measures import measure
from experiments.tables.rows import Row, TableError


def draw_heat(rows: Sequence[Row], x: str, y: str, metric: str, path: Path) -> None:
    """A field for each pair of values, its number written in it; rows are named by (y, x). Settings with numbers are
    sorted by them. Raises `TableError` where fewer than two fields are measured."""
    found = {row.label: value.mean for row in rows if (value := measure(row, metric)) is not None}
    if len(found) < 2:
        raise TableError(f"a heat map wants several values of {x} and {y} with {metric}; there is {len(found)}")
    across, down = (_sorted(label[place] for label in found) for place in (1, 0))
    values = np.array([[found.get((one, other), np.nan) for other in across] for one in down])
    with figure(path, 1.6 + 0.9 * len(across), 1.2 + 0.32 * len(down)) as made:
        axes = made.subplots()
        picture = axes.imshow(values, cmap="cividis", aspect="auto")  # read alike with any colour vision
        axes.grid(visible=False)
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (line, column), value in np.ndenumerate(values):
            ink = "black" if value > middle else "white"
            axes.text(
                column, line, "" if np.isnan(value) else f"{value:.4f}", ha="center", va="center", color=ink, fontsize=8
            )
        axes.set_xticks(range(len(across)), across)
        axes.set_yticks(range(len(down)), down)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        made.colorbar(picture, label=metric)


def _sorted(values: Iterable[str]) -> list[str]:
    """By number where they are numbers, else in the order of first sight."""
    distinct = list(dict.fromkeys(values))
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct
