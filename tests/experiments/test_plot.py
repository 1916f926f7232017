"""Figures of runs: which points, which front, and what cannot be drawn."""

import pytest

from experiments.figures.points import INTERVAL, Point, front, short_names
from experiments.plot import main
from tests.experiments.fabricated import few_labels, three_seeds, write_run

SHARE = "datamodule.few_shot.share"
UNTRAINED = dict.fromkeys(("backbone", "strategy", "head", "loss")) | {
    "scorer": {"_target_": "lightning_modules.scorers.untrained.UntrainedScorer"}
}


def heights(axes):
    """Label or text -> height of each dashed line."""
    return {line.get_label(): line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"}


def bands(axes):
    """Low and high ends of what lies across the whole panel."""
    return [(box.get_y(), box.get_y() + box.get_height()) for box in axes.patches]


def point(x, y):
    return Point(f"{x},{y}", x, y, y, y)


def test_the_front_holds_what_nothing_beats_at_its_price():
    points = [point(3, 0.5), point(1, 0.2), point(2, 0.1), point(2, 0.4), point(4, 0.5)]
    assert [(one.x, one.y) for one in front(points, "test/ndcg@10")] == [(1, 0.2), (2, 0.4), (3, 0.5)]
    assert [(one.x, one.y) for one in front(points, "valid/loss")] == [(1, 0.2), (2, 0.1)]


@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
def test_accuracy_against_cost_is_drawn(form, tmp_path, capsys):
    manifest, out = three_seeds(tmp_path), tmp_path / "figures" / f"pareto.{form}"
    assert main(["pareto", str(manifest), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert out.stat().st_size > 5000
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def label_sweep(root):
    """lora at two shares of labels and with all of them (ndcg .2, .4, .6), and an untrained ranking of two seeds."""
    for share, ndcg in ((0.05, 0.2), (0.2, 0.4)):
        words = ["strategy=lora", f"{SHARE}={share}"]
        write_run(root, f"lora-{share}", [ndcg, ndcg], changes=few_labels(share), overrides=words)
    write_run(root, "lora", [0.6, 0.6], changes={"datamodule": {}}, intervals={"test/ndcg@10": [0.55, 0.65]})
    for seed, ndcg in enumerate(((0.0, 0.1), (0.2, 0.1))):
        changes = UNTRAINED | {"datamodule": {}}
        write_run(root, f"untrained-{seed}", ndcg, seed=seed, changes=changes, overrides=["experiment=mine"])
    return ["curve", root, "--by", "strategy", "--x", SHARE]


def test_a_row_without_the_setting_is_level_beside_its_line_and_alone(tmp_path, drawn):
    (axes,) = drawn(*label_sweep(tmp_path)).axes
    assert heights(axes) == pytest.approx({f"lora, no number at {SHARE}": 0.6, "untrained": 0.1})
    (line,) = [line for line in axes.lines if line.get_label() == "lora"]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0.05, 0.2], [0.2, 0.4])
    # Over its seeds untrained has .1 on both queries, so nothing spreads; of lora the run's own interval is taken.
    assert sorted(bands(axes)) == [pytest.approx((0.1, 0.1)), pytest.approx((0.55, 0.65))]
    assert INTERVAL in axes.get_title(loc="left")


@pytest.mark.parametrize(("low", "scale"), [(0.1, "log"), (0.0, "linear"), (-1.0, "linear")])
def test_zero_and_below_have_a_place_on_the_axis(low, scale, tmp_path, drawn):
    for place, rate in enumerate((low, 0.5)):
        head = {"head": {"_target_": "lightning_modules.heads.graph.GraphHead", "tau": rate}}
        write_run(tmp_path, f"a-{place}", changes=head, overrides=["strategy=lora", f"head.tau={rate}"])
    (axes,) = drawn("curve", tmp_path, "--by", "strategy", "--x", "head.tau").axes
    assert axes.get_xscale() == scale
    assert axes.get_xlim()[0] < low


def test_bars_are_intervals_over_queries_whatever_the_number_of_seeds(tmp_path, drawn):
    # Each seed of lora has another mean, of three .5, .4 and .6, but over its seeds every query has .5.
    for seed, ndcg in enumerate(((0.4, 0.6), (0.5, 0.3), (0.6, 0.6))):
        write_run(tmp_path, f"lora-{seed}", ndcg, seed=seed)
    write_run(tmp_path, "full", (0.2, 0.2), "full", intervals={"test/ndcg@10": [0.1, 0.3]})
    made = drawn("pareto", tmp_path)
    for axes in made.axes:
        bars = sorted(tuple(line.get_ydata()) for line in axes.lines if len(set(line.get_xdata())) == 1)
        assert pytest.approx((0.1, 0.3)) in bars
        assert pytest.approx((0.5, 0.5)) in bars
    assert INTERVAL in made.get_suptitle()


def test_points_that_begin_alike_have_their_whole_name():
    names = ["lora, graph", "lora, dot", "full, graph"]
    assert short_names(names) == {"lora, graph": "lora, graph", "lora, dot": "lora, dot", "full, graph": "full"}


def test_what_trains_nothing_is_level_beside_the_points(tmp_path, drawn):
    three_seeds(tmp_path)
    cost = {"trainable_parameters": 0, "queries_per_second": 10.0}
    write_run(tmp_path, "none", (0.3, 0.1), changes=UNTRAINED, overrides=["experiment=mine"], cost=cost)
    for axes in drawn("pareto", tmp_path, "--by", "strategy").axes:
        assert list(heights(axes).values()) == pytest.approx([0.2])
        assert {text.get_text() for text in axes.texts} == {"lora", "full", "untrained"}
        assert bands(axes) == [pytest.approx((0.25, 0.75))]


def test_memory_and_time_have_panels_of_their_own(tmp_path, drawn):
    cost = {"trainable_share": 0.5, "peak_memory_bytes": 3 * 2**30, "seconds_per_epoch": 7.0}
    write_run(tmp_path, "lora", cost=cost)
    panels = drawn("pareto", tmp_path).axes
    places = [next(tuple(line.get_xdata()) for line in axes.lines if line.get_marker() == "o") for axes in panels]
    assert places == [(0.5,), (3.0,), (7.0,)]
    assert [axes.get_xlabel() for axes in panels][1:] == ["peak memory, GiB", "seconds an epoch"]


def test_a_run_that_ranks_nothing_is_left_out_and_named(tmp_path, drawn, capsys):
    write_run(tmp_path, "lora")
    config = {"adaptation": {"_target_": "lightning_modules.adaptations.masked.MaskedAdaptation"}, "seed": 0}
    write_run(tmp_path, "adapted", config=config, metrics={"valid/perplexity": 9.5})
    drawn("pareto", tmp_path)
    assert capsys.readouterr().err == "left out, finished without test/ndcg@10: adapted\n"


def test_what_cannot_be_drawn_is_said(tmp_path, capsys):
    manifest = three_seeds(tmp_path)
    assert main(["pareto", str(manifest), "--out", str(tmp_path / "a.jpg")]) == 1
    assert "ends in '.jpg'" in capsys.readouterr().err
    assert main(["pareto", str(manifest), "--metric", "test/mrr", "--out", str(tmp_path / "a.png")]) == 1
    assert "no run has the metric 'test/mrr'" in capsys.readouterr().err
    words = ["curve", str(manifest), "--by", "strategy", "--x", "head.dropout", "--out", str(tmp_path / "a.png")]
    assert main(words) == 0
    assert main([*words[:-3], "head.prior", *words[-2:]]) == 1
    assert "no finished row has test/ndcg@10 and a number at head.prior" in capsys.readouterr().err
