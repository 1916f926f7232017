"""Where rows are good: a metric by length of the history and by popularity of the answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.figures.points import name_of
from experiments.figures.style import figure, look, name_rows
from experiments.tables.measures import POPULARITY, labels_differ
from experiments.tables.rows import Row, TableError

KINDS = {"history_": "events in the history", "": "popularity of the answer"}


def draw_slices(rows: Sequence[Row], metric: str, path: Path) -> None:
    """A panel for each kind of slice, a marker for each row, averaged over seeds, a line from the lowest seed to the
    highest. Under each slice stands how many queries the first row has there. Where rows have
    different labels, slices of popularity are of other queries in each, and left out. Raises `TableError` where runs
    have no slices of the metric."""
    split, _, name = metric.partition("/")
    done = [row for row in rows if row.done]
    keys = [key.split("/") for row in done for key in row.done[0].metrics]
    known = list(dict.fromkeys(key[1] for key in keys if len(key) == 3 and (key[0], key[2]) == (split, name)))
    history = [slice_ for slice_ in known if slice_.startswith("history_")]
    runs = [run for row in done for run in row.done]
    popular = [] if labels_differ(runs) else [one for one in POPULARITY if one in known]
    panels = [(title, some) for title, some in zip(KINDS.values(), (history, popular), strict=True) if some]
    if not panels:
        raise TableError(f"no finished run has slices of {metric}")
    with figure(path, 10.4, 4.4) as made:
        drawn = np.atleast_1d(made.subplots(1, len(panels), sharey=True, squeeze=True))
        for axes, (title, slices) in zip(drawn, panels, strict=True):
            for place, row in enumerate(done):
                _row(axes, row, [f"{split}/{one}/{name}" for one in slices], place, len(done))
            queries = [done[0].done[0].metrics.get(f"{split}/{one}/queries", 0) for one in slices]
            words = [one.removeprefix("history_").replace("_", " ") for one in slices]
            axes.set_xticks(
                range(len(slices)), [f"{word}\n({count:.0f})" for word, count in zip(words, queries, strict=True)]
            )
            axes.set_xlabel(f"{title} (queries)")
        drawn[0].set_ylabel(metric)
        drawn[0].set_title("Lines: from the lowest seed to the highest", fontsize=8)
        name_rows(made, drawn[0])


def _row(axes: Any, row: Row, keys: Sequence[str], place: int, rows: int) -> None:
    """Its points stand side by side with those of the others."""
    shift = (place - (rows - 1) / 2) * 0.6 / max(rows, 1)
    values = np.array([[run.metrics.get(key, np.nan) for key in keys] for run in row.done])
    at, (colour, marker) = np.arange(len(keys)) + shift, look(place)
    axes.vlines(at, values.min(axis=0), values.max(axis=0), color=colour, linewidth=1)
    axes.plot(
        *(at, values.mean(axis=0), marker),
        color=colour,
        markersize=5,
        label=name_of(row),
    )
