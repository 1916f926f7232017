"""The right of the figure: each recommended item's score as a bar of what the interests gave."""

from collections import defaultdict
from typing import Any

from experiments.explaining.palette import PRIOR, group_colour, text_on
from experiments.explaining.record import Interest, Reason, Record
from experiments.explaining.words import heaviest, shortened

HEIGHT = 0.42
CHARACTER = 0.0185
"""Width of a letter within a bar, as a share of the axis."""

LEAST_WEIGHT = 0.005
"""Groups below it are left out of the legend: their pieces are too narrow to be seen."""


def draw_bars(axes: Any, record: Record) -> None:
    """Negative contributions stand to the left of zero, positive ones to the right; the tick marks the score."""
    ends = [_ends(reason) for reason in record.reasons]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    span = max(high - low, 1e-9)
    order = _order(record)
    for row, reason in enumerate(record.reasons):
        _draw_bar(axes, row, reason, record, order, span)
        axes.text(low, row - 0.29, f"{reason.place}. {shortened(reason.title, 46)}", fontsize=9.5, fontweight="bold")
        axes.text(_ends(reason)[1] + 0.012 * span, row, f"{reason.score:.2f}", va="center", fontsize=9.5)
    axes.set_xlim(low, high + 0.1 * span)
    axes.set_ylim(len(record.reasons) - 0.4, -0.62)
    axes.set_title("What each interest gave to the score")
    axes.set_yticks([])
    axes.tick_params(length=2, labelsize=8)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    if low < 0:
        axes.axvline(0, color="#666666", lw=0.8)


def draw_legend(axes: Any, record: Record) -> None:
    """Each group of alike interests by its heaviest members, with its weight now."""
    members: dict[int, list[Interest]] = defaultdict(list)
    for v in heaviest(record.interests):
        members[record.interests[v].group].append(record.interests[v])
    weight = {group: sum(one.weight for one in ones) for group, ones in members.items()}
    seen = [group for group in sorted(weight, key=lambda group: -weight[group]) if weight[group] >= LEAST_WEIGHT]
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(6.6, -2)
    axes.text(0, 0.1, "Colours: interests that are alike, with their weight now", fontsize=8.5, color="#666666")
    entries = [(group_colour(group), f"{weight[group]:.0%}", _named(members[group])) for group in seen]
    if any(reason.prior for reason in record.reasons):
        entries.append((PRIOR, "", "the item's own prior"))
    for row, (colour, share, name) in enumerate(entries, start=1):
        axes.scatter(0.012, row - 0.15, s=46, marker="s", color=colour, clip_on=False)
        axes.text(0.1, row - 0.15, share, fontsize=8.5, va="center", ha="right")
        axes.text(0.12, row - 0.15, name, fontsize=8.5, va="center")


def _draw_bar(axes: Any, row: int, reason: Reason, record: Record, order: list[int], span: float) -> None:
    left, right = 0.0, 0.0
    pieces = [
        (reason.contributions[v], group_colour(record.interests[v].group), record.interests[v].title) for v in order
    ]
    pieces.append((reason.prior, PRIOR, "prior"))
    for value, colour, name in pieces:
        start = right if value > 0 else left + value
        axes.barh(row, abs(value), HEIGHT, left=start, color=colour, ec="white", lw=0.5)
        letters = int(abs(value) / span / CHARACTER)
        if letters >= 9:
            words = shortened(name, letters)
            axes.text(start + abs(value) / 2, row, words, ha="center", va="center", fontsize=7, color=text_on(colour))
        left, right = left + min(value, 0), right + max(value, 0)
    if left < 0:
        axes.plot([reason.score] * 2, [row - HEIGHT / 2, row + HEIGHT / 2], color="black", lw=1.6)


def _order(record: Record) -> list[int]:
    """Groups by weight, and interests by weight within their group, so that colours stand together in every bar."""
    weight: dict[int, float] = defaultdict(float)
    for interest in record.interests:
        weight[interest.group] += interest.weight
    return sorted(
        heaviest(record.interests), key=lambda v: (-weight[record.interests[v].group], record.interests[v].group)
    )


def _ends(reason: Reason) -> tuple[float, float]:
    values = (*reason.contributions, reason.prior)
    return sum(min(value, 0) for value in values), sum(max(value, 0) for value in values)


def _named(members: list[Interest]) -> str:
    titles = list(dict.fromkeys(shortened(one.title, 22) for one in members))
    more = f" and {len(titles) - 2} more" if len(titles) > 2 else ""
    return " · ".join(titles[:2]) + more
