"""What validation measured while runs trained: one curve for each row, with the range of its seeds."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.figures.points import name_of
from experiments.figures.style import figure, look, name_rows
from experiments.runs.read import Run
from experiments.tables.measures import labels_differ
from experiments.tables.rows import Row, TableError

BAND = "from the lowest seed to the highest"


def draw_learning(rows: Sequence[Row], metric: str, path: Path) -> None:
    """The mean over seeds after each epoch, as long as all seeds of the row trained. Raises `TableError` where no run
    kept what it measured."""
    curves = {name_of(row): found for row in rows if len(found := curve_of(row, metric))}
    if not curves:
        raise TableError(f"no run has {metric} epoch by epoch; runs keep it in epochs.json")
    with figure(path, 7.2, 4.6) as made:
        axes = made.subplots()
        for place, (name, values) in enumerate(curves.items()):
            (colour, marker), epochs = look(place), np.arange(1, values.shape[1] + 1)
            axes.plot(
                *(epochs, values.mean(axis=0)),
                color=colour,
                marker=marker,
                markersize=4,
                label=name,
            )
            axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        unlike = labels_differ([run for row in rows for run in row.done])
        other = "; rows of other labels may be asked other users" if unlike else ""
        axes.set_title(f"Bands: {BAND}{other}", fontsize=8)
        name_rows(made, axes)


def curve_of(row: Row, metric: str) -> np.ndarray:
    """(seeds, epochs) values of the row's finished runs, cut to the shortest; no columns where one kept none."""
    curves = [_of_run(run, metric) for run in row.done]
    shortest = min(map(len, curves), default=0)
    return np.array([curve[:shortest] for curve in curves]) if shortest else np.empty((0, 0))


def _of_run(run: Run, metric: str) -> list[float]:
    path = None if run.folder is None else run.folder / "epochs.json"
    if path is None or not path.exists():
        return []
    epochs = json.loads(path.read_text(encoding="utf-8"))
    return [epoch[metric] for epoch in epochs] if all(metric in epoch for epoch in epochs) else []
