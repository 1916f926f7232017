"""Figures over epochs, slices, users and pairs of settings: what is drawn is what was measured."""

import json

import numpy as np
import pytest

from experiments.figures.learning import curve_of
from experiments.figures.points import name_of
from experiments.figures.style import look
from experiments.figures.wins import shares
from experiments.plot import main
from experiments.runs.read import read_run
from experiments.tables.rows import Row
from tests.experiments.fabricated import NDCG, few_labels, three_seeds, write_run


def measured(folder, *values):
    (folder / "epochs.json").write_text(json.dumps([{"valid/ndcg@10": value} for value in values]))
    return folder


def test_a_learning_curve_is_the_mean_of_seeds_as_long_as_all_of_them_trained(tmp_path, drawn):
    folders = [
        measured(write_run(tmp_path, "lora-0", seed=0, metrics={"valid/ndcg@10": 0.5}), 0.1, 0.2, 0.5),
        measured(write_run(tmp_path, "lora-1", seed=1, metrics={"valid/ndcg@10": 0.4}), 0.3, 0.4),
    ]
    row = Row(("lora",), tuple(map(read_run, folders)), ())
    assert curve_of(row, "valid/ndcg@10").tolist() == [[0.1, 0.2], [0.3, 0.4]]
    (axes,) = drawn("learning", tmp_path).axes
    assert axes.lines[0].get_ydata() == pytest.approx([0.2, 0.3])
    assert axes.lines[0].get_xdata() == pytest.approx([1, 2])
    band = axes.collections[0].get_datalim(axes.transData)
    assert (band.y0, band.y1) == pytest.approx((0.1, 0.4))


def test_runs_that_kept_no_epochs_have_no_curve(tmp_path, capsys):
    write_run(tmp_path, "lora")
    assert main(["learning", str(tmp_path), "--metric", "test/ndcg@10", "--out", str(tmp_path / "a.png")]) == 1
    assert "no run has test/ndcg@10 epoch by epoch" in capsys.readouterr().err


def test_slices_say_how_many_queries_they_have(tmp_path, drawn):
    sliced = {"test/ndcg@10": 0.5, "test/history_1-5/ndcg@10": 0.25, "test/history_1-5/queries": 7.0}
    sliced |= {"test/head/ndcg@10": 0.75, "test/head/queries": 9.0, "test/tail/ndcg@10": 0.1, "test/tail/queries": 4.0}
    for seed, shift in enumerate((0.0, 0.1)):
        moved = {name: value + shift * name.endswith("ndcg@10") for name, value in sliced.items()}
        write_run(tmp_path, f"lora-{seed}", seed=seed, metrics=moved)
    history, popular = drawn("slices", tmp_path).axes
    assert [text.get_text() for text in history.get_xticklabels()] == ["1-5\n(7)"]
    assert [text.get_text() for text in popular.get_xticklabels()] == ["tail\n(4)", "head\n(9)"]
    assert popular.lines[0].get_ydata() == pytest.approx([0.15, 0.8])


def test_slices_of_another_metric_are_refused(tmp_path, capsys):
    write_run(tmp_path, "lora", metrics={"test/head/ndcg@10": 0.5, "test/head/queries": 9.0, "test/hr@10": 0.5})
    words = ["slices", str(tmp_path), "--metric", "test/hr@10", "--out", str(tmp_path / "a.png")]
    assert main(words) == 1
    assert "no finished run has slices of test/hr@10" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_rows_look_apart_and_many_are_named_beside_the_axes(tmp_path, drawn):
    assert len({look(place) for place in range(49)}) == 49
    for place in range(9):
        sliced = {"test/ndcg@10": 0.5, "test/head/ndcg@10": place / 10, "test/head/queries": 9.0}
        write_run(tmp_path, f"run-{place}", strategy=f"s{place}", metrics=sliced)
    made = drawn("slices", tmp_path, "--by", "strategy")
    assert [axes.get_legend() for axes in made.axes] == [None]
    assert [text.get_text() for text in made.legends[0].get_texts()] == [f"s{place}" for place in range(9)]


def test_wins_and_losses_are_counted_by_query(tmp_path, drawn):
    assert shares(np.array([0.1, 0.0, -0.2, 0.3])) == (0.5, 0.25, 0.25)
    three_seeds(tmp_path)
    (panel,) = drawn("wins", tmp_path, "--by", "strategy", "--reference", "full").axes
    better = np.mean(np.array(NDCG["a"]) > np.array(NDCG["b"]))
    assert panel.get_title(loc="left") == f"lora\nbetter {better:.0%}, equal {1 - better:.0%}, worse 0%"


def test_every_user_is_drawn_the_best_among_them(tmp_path, drawn):
    write_run(tmp_path, "full", [0.2, 0.2, 0.2, 0.2], strategy="full")
    write_run(tmp_path, "lora", [0.1, 0.2, 0.2, 0.9], strategy="lora")
    (panel,) = drawn("wins", tmp_path, "--by", "strategy", "--reference", "full").axes
    better, worse = (np.concatenate([path.vertices for path in area.get_paths()]) for area in panel.collections)
    assert (worse[:, 1].min(), better[:, 1].max()) == pytest.approx((-0.1, 0.7))
    assert [np.ptp(area[area[:, 1] != 0, 0]) for area in (better, worse)] == [25, 25]


def test_a_curve_runs_over_a_cost_too(tmp_path, drawn):
    for name, strategy, seconds in (("a", "lora", 10.0), ("b", "full", 20.0)):
        write_run(tmp_path, name, strategy=strategy, cost={"seconds_per_epoch": seconds, "trainable_share": 0.5})
    axes = drawn("curve", tmp_path, "--by", "head", "--x", "seconds_per_epoch").axes[0]
    assert sorted(axes.lines[0].get_xdata()) == [10.0, 20.0]


def test_of_rows_with_unequal_seeds_what_both_have_is_compared(tmp_path, drawn):
    """Equal models are equal, though a mean over three seeds has other values than one seed."""
    for strategy, seeds in (("lora", 3), ("full", 1)):
        for seed in range(seeds):
            values = [float((place + seed) % 3 == 0) for place in range(6)]
            write_run(tmp_path, f"{strategy}-{seed}", values, strategy=strategy, seed=seed)
    (panel,) = drawn("wins", tmp_path, "--by", "strategy", "--reference", "full").axes
    assert panel.get_title(loc="left") == "lora\nbetter 0%, equal 100%, worse 0%"


def test_a_row_alone_wins_against_nobody(tmp_path, capsys):
    write_run(tmp_path, "lora")
    words = ["wins", str(tmp_path), "--by", "strategy", "--reference", "lora", "--out", str(tmp_path / "a.png")]
    assert main(words) == 1
    assert "two rows must keep test/ndcg@10 of each query" in capsys.readouterr().err


def test_a_heat_map_has_a_field_for_each_pair(tmp_path, drawn):
    for x, y, shift in (("8", "0.1", 0.0), ("16", "0.1", 0.1), ("8", "0.05", 0.2)):
        words = [f"strategy.rank={x}", f"head.tau={y}"]
        write_run(tmp_path, f"{x}-{y}", [value + shift for value in NDCG["b"]], overrides=words)
    axes = drawn("heat", tmp_path, "--x", "strategy.rank", "--y", "head.tau").axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["8", "16"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0.05", "0.1"]
    assert [text.get_text() for text in axes.texts] == ["0.4500", "", "0.2500", "0.3500"]


def test_rows_that_say_nothing_on_other_settings_have_names_of_their_own(tmp_path):
    labels = [("1", "-"), ("-", "1"), ("-", "-"), ("1", "1")]
    run = read_run(write_run(tmp_path, "run"))
    assert [name_of(Row(label, (run,), ())) for label in labels] == ["1", "-, 1", "run", "1, 1"]


def test_under_other_labels_popularity_is_of_other_queries(tmp_path, drawn, capsys):
    slices = {"test/ndcg@10": 0.5, "test/hr@10": 0.5, "test/history_1/ndcg@10": 0.5, "test/tail/ndcg@10": 0.5}
    for share in (0.1, 0.5):
        write_run(tmp_path, str(share), (0.5, 0.5), changes=few_labels(share), metrics=slices)
    assert len(drawn("slices", tmp_path).axes) == 1
    out = str(tmp_path / "a.png")
    assert main(["pareto", str(tmp_path), "--metric", "test/tail/ndcg@10", "--out", out]) == 1
    assert "these runs have different labels" in capsys.readouterr().err
