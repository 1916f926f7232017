"""Names beside points: laws over crowds of them."""

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from experiments.figures.labels import GAP, write_names
from experiments.figures.style import figure

CROWD = 26


def named(path, points, logarithmic=False):
    """(axes' box, the box of each name, its point in pixels) of a figure with these points."""
    with figure(path, 6, 5) as made:
        axes = made.subplots()
        if logarithmic:
            axes.set_xscale("log")
        axes.plot(*zip(*points.values(), strict=True), "o")
        write_names(made, axes, points)
        made.draw_without_rendering()
        renderer = made.canvas.get_renderer()
        boxes = {text.get_text(): Text.get_window_extent(text, renderer) for text in axes.texts}  # without its line
        places = {text.get_text(): axes.transData.transform(text.xy) for text in axes.texts}
        return axes.get_window_extent(), boxes, places


def overlap(one, other):
    return min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1


@pytest.mark.parametrize("spread", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_no_name_covers_another_or_leaves_the_panel(tmp_path, spread, logarithmic):
    """A dense crowd in one place, and two points far away that keep it small on the page."""
    random = np.random.default_rng(1)
    cloud = 0.5 + spread * random.uniform(-0.4, 0.4, (CROWD, 2))
    points = {f"strategy_{place}": tuple(map(float, at)) for place, at in enumerate(cloud)}
    points |= {"first": (0.01, 0.01), "last": (1.0, 1.0)}
    area, boxes, _ = named(tmp_path / "a.png", points, logarithmic)
    assert boxes.keys() == points.keys()
    assert [pair for pair in itertools.combinations(boxes, 2) if overlap(boxes[pair[0]], boxes[pair[1]])] == []
    inside = [area.x0 - 1 <= box.x0 and box.x1 <= area.x1 + 3 for box in boxes.values()]
    inside += [area.y0 - 1 <= box.y0 and box.y1 <= area.y1 + 1 for box in boxes.values()]
    assert all(inside)


def test_a_lonely_name_stands_beside_its_point_and_belongs_to_it(tmp_path):
    points = {"left": (0.0, 0.0), "middle": (0.5, 0.5), "right": (1.0, 1.0)}
    _, boxes, places = named(tmp_path / "a.png", points)
    for name, box in boxes.items():
        nearest = (np.clip(places[name][0], box.x0, box.x1), np.clip(places[name][1], box.y0, box.y1))
        assert np.hypot(*(places[name] - nearest)) < 2 * GAP
