"""The figure of growth: measured time of a target, and the line that its arithmetic allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring.arithmetic import exponent
from experiments.explaining.figure import STYLE, require_drawable
from experiments.explaining.palette import group_colour
from experiments.figures.style import FAINT


@dataclass(frozen=True)
class Curve:
    """costs[k]: milliseconds of a target at sizes[k], one for each round. arithmetic: the exponent that is allowed."""

    label: str
    sizes: Sequence[int]
    costs: Sequence[Sequence[float]]
    arithmetic: float

    @property
    def medians(self) -> list[float]:
        """Of each size."""
        return [median(rounds) for rounds in self.costs]

    @property
    def exponent(self) -> float:
        """Fitted through all sizes."""
        return exponent(self.sizes, self.medians)

    @property
    def last_step(self) -> float:
        """Between the two largest sizes, where fixed costs count least."""
        return exponent(self.sizes[-2:], self.medians[-2:])


def save(curves: Sequence[Curve], path: Path) -> None:
    """One panel for each curve, logarithmic both ways. Raises as `require_drawable` does."""
    require_drawable(path)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(11.6, 3.4))
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(curves))
        for place, (axes, curve) in enumerate(zip(panels, curves, strict=True)):
            _draw(axes, curve, group_colour(place))
        panels[0].set_ylabel("CPU milliseconds a target")
        figure.text(0.02, 0.93, "Time of one training target as things grow", fontsize=15, fontweight="bold")
        note = "Lines: measured medians and ranges. Dashed: what the arithmetic allows, from the smallest size on."
        figure.text(0.02, 0.865, note, fontsize=8.5, color="#666666")
        figure.subplots_adjust(left=0.06, right=0.985, top=0.7, bottom=0.17, wspace=0.24)
        partial = path.with_name(f".{path.name}")
        figure.savefig(partial, format="png", dpi=150)
        partial.replace(path)


def _draw(axes: Any, curve: Curve, colour: str) -> None:
    from matplotlib.ticker import LogLocator

    middle = curve.medians
    allowed = [middle[0] * (size / curve.sizes[0]) ** curve.arithmetic for size in curve.sizes]
    axes.plot(curve.sizes, allowed, "--", color=FAINT, lw=1.2)
    below = [m - min(rounds) for m, rounds in zip(middle, curve.costs, strict=True)]
    above = [max(rounds) - m for m, rounds in zip(middle, curve.costs, strict=True)]
    axes.errorbar(curve.sizes, middle, (below, above), marker="o", ms=4, lw=1.6, capsize=2, color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = min(map(min, curve.costs)), max(max(map(max, curve.costs)), *allowed)
    axes.set_ylim(low / 1.3, high * 1.3)
    axes.yaxis.set_major_locator(LogLocator(subs=(1,) if high / low > 50 else (1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xticks(list(curve.sizes), [_short(size) for size in curve.sizes])
    axes.minorticks_off()
    axes.set_xlabel(curve.label)
    axes.set_title(f"exponent {curve.exponent:.2f}, allowed {curve.arithmetic:.2f}")
    axes.tick_params(length=2, labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _short(size: int) -> str:
    return str(size) if size < 1000 else f"{size // 1000}k" if size < 10**6 else f"{size // 10**6}M"
