"""For whom one row is better than another: the difference of every user, from the greatest loss to the greatest win."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.figures.style import COLOURS, figure
from experiments.tables.measures import answers, asked_alike
from experiments.tables.rows import Label, Row, TableError
from experiments.tables.statistics import over_common_seeds


def draw_wins(rows: Sequence[Row], reference: Label, metric: str, path: Path) -> None:
    """A panel for each other row; what is drawn is each query's mean over the seeds that both rows have. Raises
    `TableError` where no two rows have a seed in common and keep values per query, or rows were asked different
    ones."""
    kept = {row.label: answers(row, metric) for row in rows if row.done}
    values = {label: {one.run.seed: one.values for one in found} for label, found in kept.items()}
    others = [label for label in values if label != reference and values[label].keys() & values.get(reference, {})]
    if not others:
        raise TableError(f"to compare users, two rows must keep {metric} of each query of the same seed")
    if not asked_alike([one for found in kept.values() for one in found], metric):
        raise TableError(f"these rows were asked different queries of {metric}")
    columns = min(len(others), 4)
    lines = -(-len(others) // columns)
    with figure(path, 2.6 * columns + 0.8, 2.4 * lines + 0.6) as made:
        panels = np.atleast_1d(made.subplots(lines, columns, sharey=True, squeeze=False)).ravel()
        for axes, label in zip(panels, others, strict=False):
            _panel(axes, over_common_seeds(values[label], values[reference]).differences, label)
        for axes in panels[len(others) :]:
            axes.set_visible(False)
        made.suptitle(f"{metric} of each query against {', '.join(reference)}", fontsize=10)


def shares(differences: np.ndarray) -> tuple[float, float, float]:
    """Of the queries, how many are better, equal and worse."""
    return tuple(float(np.mean(sign)) for sign in (differences > 0, differences == 0, differences < 0))  # type: ignore[return-value]


def _panel(axes: Any, differences: np.ndarray, label: Label) -> None:
    ordered = np.sort(differences)
    at, steps = np.linspace(0, 100, len(ordered) + 1), np.append(ordered, ordered[-1])  # each query as wide as any
    for sign, colour in ((1, COLOURS[0]), (-1, COLOURS[5])):
        axes.fill_between(at, np.where(sign * steps > 0, steps, 0), color=colour, linewidth=0, step="post")
    better, equal, worse = (f"{share:.0%}" for share in shares(differences))
    axes.set_title(f"{', '.join(label)}\nbetter {better}, equal {equal}, worse {worse}", fontsize=8)
    axes.set_xlabel("percent of queries")
