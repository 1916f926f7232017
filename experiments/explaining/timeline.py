"""The left of the figure: when interests arose, how they hang together, and how much each weighed at every moment."""

from typing import Any

import numpy as np

from experiments.explaining.palette import group_colour
from experiments.explaining.record import Record
from experiments.explaining.words import date, heaviest, shortened, within_a_day
from experiments.figures.style import FAINT

MOST_EDGES = 40
HEAVIEST_NOW, HEAVIEST_EVER = 8, 6
"""Rows of the heat map: what weighs most now, and what else weighed most in sum, the first moments left out."""

LARGEST_NODE = 420.0  # square points, for the heaviest interest


def draw_graph(axes: Any, record: Record) -> None:
    """Events in time order; arcs join what is alike, as wide as their cosine; dots are as large as their weight now."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    shown = sorted(record.edges, key=lambda edge: -edge.cosine)[:MOST_EDGES]
    colours = _event_colours(record)
    low, high = (shown[-1].cosine, shown[0].cosine) if shown else (0.0, 1.0)
    for edge in reversed(shown):  # the strongest on top
        strength = (edge.cosine - low) / (high - low) if high > low else 1.0
        rise = (edge.later - edge.earlier) ** 0.7
        corners = [(edge.earlier, 0), (edge.earlier, rise), (edge.later, rise), (edge.later, 0)]
        same = colours[edge.earlier] == colours[edge.later]
        axes.add_patch(
            PathPatch(
                Path(corners, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]),
                fill=False,
                lw=0.6 + 2.4 * strength,
                ec=colours[edge.later] if same else FAINT,
                alpha=0.45 + 0.4 * strength,
                capstyle="round",
            )
        )
    _draw_nodes(axes, record, colours)
    tallest = max([0.75 * (edge.later - edge.earlier) ** 0.7 for edge in shown], default=1.0)
    axes.set_ylim(-0.16 * tallest, 1.08 * tallest)
    axes.set_xlim(-0.8, len(record.events) - 0.2)
    axes.text(0, -0.02, "dots: weight now", fontsize=7.5, color="#666666", transform=axes.transAxes, va="top")
    axes.set_title(_graph_title(record, len(shown)))
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    for side in ("top", "left", "right", "bottom"):
        axes.spines[side].set_visible(False)


def draw_weights(axes: Any, record: Record) -> None:
    """Weights over time: a row for each of the heaviest interests, a column for each moment."""
    from matplotlib.colors import PowerNorm

    rows = _rows(record)
    weights = np.array(record.timeline)[:, rows].T
    top = max(float(weights[:, _settled(record)].max()), 1e-9)
    born = np.array([record.interests[v].event or 0 for v in rows])
    future = np.arange(weights.shape[1]) < born[:, None]
    image = axes.imshow(
        np.ma.array(weights, mask=future),
        aspect="auto",
        cmap="GnBu",
        norm=PowerNorm(0.5, vmin=0, vmax=top, clip=True),
        interpolation="nearest",
    )
    for row, v in enumerate(rows):
        axes.scatter(born[row], row, s=26, color=group_colour(record.interests[v].group), ec="white", lw=0.7, zorder=3)
    axes.set_yticks(range(len(rows)), [shortened(record.interests[v].title, 28) for v in rows], fontsize=8)
    axes.tick_params(left=False, length=2)
    _label_moments(axes, record)
    axes.set_title("What an interest weighed, moment by moment")
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    _scale(axes, image, "≥ " if weights.max() > top else "")


def _rows(record: Record) -> list[int]:
    """Interests of the heat map, in order of time."""
    now = heaviest(record.interests)[:HEAVIEST_NOW]
    total = np.array(record.timeline)[_settled(record)].sum(0)
    ever = [v for v in np.argsort(-total, kind="stable").tolist() if v not in now][:HEAVIEST_EVER]
    return sorted(now + ever, key=lambda v: (record.interests[v].event or 0, v))


def _settled(record: Record) -> slice:
    """Moments from which on weights compare: at first there is little to share them with."""
    return slice(len(record.events) // 4, None)


def _draw_nodes(axes: Any, record: Record, colours: list[str]) -> None:
    weight = np.zeros(len(record.events))
    for interest in record.interests:
        if interest.event is not None:
            weight[interest.event] += interest.weight
    size = 12 + LARGEST_NODE * weight / max(weight.max(), 1e-9)
    axes.axhline(0, color=FAINT, lw=0.8, zorder=0)
    axes.scatter(
        range(len(weight)), np.zeros(len(weight)), s=size, c=colours, ec="white", lw=0.9, zorder=3, clip_on=False
    )


def _event_colours(record: Record) -> list[str]:
    colours = [FAINT] * len(record.events)
    for interest in record.interests:
        if interest.event is not None:
            colours[interest.event] = group_colour(interest.group)
    return colours


def _graph_title(record: Record, shown: int) -> str:
    if record.tau is None:
        return "The history"
    total = len(record.edges)
    which = f"{shown} strongest of {total:,} edges" if shown < total else f"{total} edge{'s' * (total != 1)}"
    return f"Interest graph: {which}"


def _label_moments(axes: Any, record: Record) -> None:
    count = len(record.events)
    timed = all(event.time is not None for event in record.events)
    step = -(-count // (5 if timed else 10))  # a date is as wide as a fifth of the axis
    ticks = list(range((count - 1) % step, count, step))
    if not timed:
        axes.set_xticks(ticks, [str(tick + 1) for tick in ticks])
        axes.set_xlabel("event", color="#666666")
    else:
        short = within_a_day(record)
        axes.set_xticks(ticks, [date(record.events[tick].time, short) for tick in ticks], fontsize=8)
        if short:
            axes.set_xlabel(f"on {date(record.events[0].time)} (UTC)", color="#666666")


def _scale(axes: Any, image: Any, sign: str) -> None:
    """A short colour scale in the empty corner at the lower left, where no interest was born yet."""
    place = axes.inset_axes((0.03, 0.07, 0.22, 0.035))
    scale = axes.figure.colorbar(image, cax=place, orientation="horizontal")
    top = float(image.norm.vmax)
    scale.set_ticks([0, top], labels=["0", f"weight {sign}{top:.2g}"], fontsize=7.5)
    scale.outline.set_visible(False)
    place.tick_params(length=0, pad=1.5)
