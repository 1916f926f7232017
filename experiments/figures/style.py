"""One look for all figures: readable in print and by people with any colour vision."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#555555")
"""Okabe & Ito 2008."""

MARKERS = "osD^vPX"
FAINT = "#c9c9c9"
FORMS = (".png", ".pdf", ".svg")
BASE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#b0b0b0",
    "axes.linewidth": 0.8,
    "text.color": "#222222",
    "text.parse_math": False,  # a title may hold two dollar signs
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
}
"""Of every picture."""

STYLE = BASE | {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#ececec",
    "axes.axisbelow": True,
}
"""Of those that show numbers on axes."""


def look(place: int) -> tuple[str, str]:
    """Colour and marker of the row at that place; 49 rows look each another way."""
    return COLOURS[place % len(COLOURS)], MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]


def name_rows(made: Any, axes: Any) -> None:
    """A legend of what `axes` shows: within where it is short, else beside all axes of the figure."""
    handles, names = axes.get_legend_handles_labels()
    if len(names) <= len(COLOURS):
        axes.legend(frameon=False, fontsize=8)
    else:
        made.legend(handles, names, loc="outside right upper", ncols=ceil(len(names) / 24), frameon=False, fontsize=8)


def require_drawable(path: Path) -> None:
    """Raise `ValueError` where `path` has another ending than a picture's, or matplotlib is absent."""
    if path.suffix not in FORMS:
        raise ValueError(f"figure {path.name} ends in '{path.suffix}'; it is one of {', '.join(FORMS)}")
    if find_spec("matplotlib") is None:
        raise ValueError("figures need matplotlib: pip install 'interestlab[figures]'")


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure to draw into, written in one piece at the end."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        made = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(made)
        yield made
        save(made, path)


def save(made: Any, path: Path) -> None:
    """Write a matplotlib figure in one piece, in the form that the file's ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    made.savefig(partial, format=path.suffix[1:], dpi=150)
    partial.replace(path)


def logarithmic(axes: Any) -> None:
    """The x axis by factors, its ticks at 1, 2 and 5 of each power of ten and written as plain numbers; where fewer
    than two of these are in sight, at round numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    class Ticks(LogLocator):
        def tick_values(self, vmin: float, vmax: float) -> Any:
            found = super().tick_values(vmin, vmax)
            in_sight = sum(vmin <= tick <= vmax for tick in found)
            return found if in_sight > 1 else MaxNLocator(5).tick_values(vmin, vmax)

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(Ticks(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
