"""Figures of runs: which points, which front, and what cannot be drawn."""

import pytest

from experiments.figures.points import Point, front
from experiments.plot import main
from tests.experiments.fabricated import three_seeds, write_run


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


def test_accuracy_against_a_setting_is_drawn_with_a_level_for_what_has_none(tmp_path, capsys):
    for share, ndcg in ((0.05, 0.2), (0.2, 0.4)):
        few = {"datamodule": {"few_shot": {"_target_": "datamodules.few_shot.ShareOfUsers", "share": share}}}
        words = ["strategy=lora", f"datamodule.few_shot.share={share}"]
        write_run(tmp_path, f"lora-{share}", [ndcg, ndcg], changes=few, overrides=words)
    write_run(tmp_path, "full", [0.1, 0.1], strategy="full", changes={"datamodule": {}})
    out = tmp_path / "curve.png"
    words = ["curve", str(tmp_path), "--by", "strategy", "--x", "datamodule.few_shot.share", "--out", str(out)]
    assert main(words) == 0, capsys.readouterr().err
    assert out.stat().st_size > 5000


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
