"""An explanation as a picture: the interest graph over time, the weights over time, and the parts of each score."""

from pathlib import Path
from typing import Any

from experiments.explaining.bars import draw_bars, draw_legend
from experiments.explaining.record import Record
from experiments.explaining.timeline import draw_graph, draw_weights
from experiments.explaining.words import shortened, who
from experiments.figures.style import BASE, require_drawable, save

STYLE = BASE | {"axes.titleweight": "bold"}
EAST_ASIAN = ("Noto Sans CJK SC", "Noto Sans SC", "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei")
"""Fonts for titles that the first font cannot write; whichever are installed."""


def save_figure(record: Record, path: Path) -> None:
    """Draw into a file, whose ending chooses the form. Raises as `require_drawable` does."""
    require_drawable(path)
    save(draw(record), path)


def draw(record: Record) -> Any:
    """The matplotlib figure, which a notebook shows by itself."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE | {"font.family": _fonts()}):
        figure = Figure(figsize=(11.6, 7))
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(2, 2, width_ratios=(1.08, 1), height_ratios=(1 if record.edges else 0.15, 1.25))
        grid.update(left=0.2, right=0.98, top=0.84, bottom=0.085, wspace=0.1, hspace=0.2)
        graph = figure.add_subplot(grid[0, 0])
        draw_graph(graph, record)
        draw_weights(figure.add_subplot(grid[1, 0], sharex=graph), record)
        right = grid[:, 1].subgridspec(2, 1, height_ratios=(3.6, 1), hspace=0.02)
        draw_bars(figure.add_subplot(right[0]), record)
        draw_legend(figure.add_subplot(right[1]), record)
        _title(figure, record)
    return figure


def _fonts() -> list[str]:
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return ["DejaVu Sans", *(name for name in EAST_ASIAN if name in installed)]


def _title(figure: Any, record: Record) -> None:
    count = len(record.reasons)
    things = "this item is" if count == 1 else f"these {count} items are"
    figure.text(0.02, 0.95, f"Why {things} recommended to {who(record)}", fontsize=15, fontweight="bold")
    figure.text(0.02, 0.912, shortened(record.meaning, 170), fontsize=8.5, color="#666666")
