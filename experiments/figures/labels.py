"""Names beside points, so that no name covers another one or a point."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SIZE = 7
LINE = "#555555"
GAP = 5.0
"""Pixels between a point and the nearest of the places for its name."""
REACH = 40
"""How many rings of places are tried, each GAP further out."""
DIRECTIONS = [math.radians(angle) for angle in (20, -20, 160, -160, 60, -60, 120, -120, 90, -90, 0, 180)]

Place = tuple[float, float]


class Box:
    """A rectangle on the canvas, in pixels."""

    def __init__(self, left: float, bottom: float, width: float, height: float) -> None:
        self.left, self.bottom, self.right, self.top = left, bottom, left + width, bottom + height

    def meets(self, other: "Box") -> bool:
        """Whether they share a pixel."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def within(self, other: "Box") -> bool:
        """Whether it lies in the other one whole."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )


def write_names(made: Any, axes: Any, points: Mapping[str, Place]) -> None:
    """Write every name near its point (x, y in data), with a line to it where it stands further off. The nearest free
    place is taken, the names of lonely points first; a name for which there is none stands beside its point all the
    same. To be called when all else is drawn: the layout is settled here."""
    made.draw_without_rendering()
    area = axes.get_window_extent()
    inside = Box(area.x0, area.y0, area.width, area.height)
    at = {name: _pixels(axes, place) for name, place in points.items()}
    marks = [Box(x - 3, y - 3, 6, 6) for x, y in at.values()]
    taken: list[Box] = []
    for name in sorted(at, key=lambda one: _neighbours(at[one], list(at.values()))):
        width, height = _extent(made, axes, name)
        box = next((box for box in _places(at[name], width, height) if _is_free(box, inside, taken + marks)), None)
        box = box or Box(at[name][0] + GAP, at[name][1], width, height)
        taken.append(box)
        _write(axes, name, points[name], at[name], box, made.dpi)


def _pixels(axes: Any, place: Place) -> Place:
    x, y = axes.transData.transform(place)
    return float(x), float(y)


def _places(point: Place, width: float, height: float) -> Iterator[Box]:
    """Boxes around a point, the nearest first."""
    for ring in range(1, REACH):
        for angle in DIRECTIONS:
            x, y = point[0] + ring * GAP * math.cos(angle), point[1] + ring * GAP * math.sin(angle)
            yield Box(x if math.cos(angle) >= 0 else x - width, y - height / 2, width, height)


def _is_free(box: Box, inside: Box, taken: Sequence[Box]) -> bool:
    return box.within(inside) and not any(box.meets(other) for other in taken)


def _neighbours(point: Place, others: Sequence[Place]) -> int:
    return sum(math.dist(point, other) < 60 for other in others)


def _extent(made: Any, axes: Any, name: str) -> tuple[float, float]:
    text = axes.text(0, 0, name, fontsize=SIZE)
    box = text.get_window_extent(made.canvas.get_renderer())
    text.remove()
    return box.width + 2, box.height + 1


def _write(axes: Any, name: str, data: Place, point: Place, box: Box, dpi: float) -> None:
    """In offsets from the point, so that the name stays with it in every form of the picture."""
    middle = (box.bottom + box.top) / 2
    near = min(max(point[0], box.left), box.right)
    far = math.dist(point, (near, middle)) > 3 * GAP
    axes.annotate(
        name,
        data,
        xytext=((box.left - point[0]) * 72 / dpi, (middle - point[1]) * 72 / dpi),
        textcoords="offset points",
        fontsize=SIZE,
        va="center",
        zorder=4,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3},
        arrowprops={"arrowstyle": "-", "color": LINE, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 2} if far else None,
    ).set_in_layout(False)
