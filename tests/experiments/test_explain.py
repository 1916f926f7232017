"""Explanations of whole runs: exact sums, JSON that comes back, tables, figures, and faults of the input."""

import json
from dataclasses import replace

import numpy as np
import pytest

from experiments import load
from experiments.explain import main
from experiments.explaining.console import parts, sparkline, tables
from experiments.explaining.figure import draw, save_figure
from experiments.explaining.groups import groups
from experiments.explaining.record import Record
from experiments.explaining.words import shortened
from experiments.figures import style

NAMES = ["graph", "attention", "sasrec"]


@pytest.fixture(scope="module")
def records(tiny_runs):
    """What each kind of model says of one user."""
    runs = {name: load(tiny_runs(name)) for name in NAMES}
    return {name: run.explain(run.data.prepared.users[7], k=4) for name, run in runs.items()}


def call(capsys, *words):
    """Exit status, standard output, standard error."""
    status = main([str(word) for word in words])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_add_up_to_the_recommended_score(name, records, tiny_runs):
    record, run = records[name], load(tiny_runs(name))
    assert [(one.item, one.score) for one in record.reasons] == [
        (one.item, one.score) for one in run.recommend(record.user, k=4)
    ]
    for reason in record.reasons:
        assert len(reason.contributions) == len(record.interests)
        assert sum(reason.contributions) + reason.prior == pytest.approx(reason.score, rel=1e-5, abs=1e-5)
        shown = parts(reason, record)
        assert sum(value for _, value in shown) == pytest.approx(reason.score, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_record_comes_back_from_json(name, records):
    record = records[name]
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_shares_at_every_moment(name, records):
    record = records[name]
    timeline = np.array(record.timeline)
    assert timeline.shape == (len(record.events), len(record.interests))
    np.testing.assert_allclose(timeline.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(timeline[-1], [one.weight for one in record.interests], atol=1e-6)


def test_the_events_are_the_users_last_ones(tiny_runs):
    run = load(tiny_runs("graph"))
    data = run.data.prepared
    user = int(np.diff(data.offsets).argmax())
    record, events = run.explain(data.users[user]), range(data.offsets[user], data.offsets[user + 1])
    assert len(record.events) == 12
    assert record.unseen == len(events) - 12 > 0
    for event, past in zip(events[-12:], record.events, strict=True):
        assert past.item == data.item_keys[data.item[event]]
        assert past.time == data.time[event]
        assert past.behaviour == data.behaviours[data.behaviour[event]]


def test_what_is_said_of_each_kind_of_model(records):
    said = {name: " ".join(tables(record).caption) for name, record in records.items()}
    assert "an event in its context" in said["graph"]
    assert "An interest is an event's own vector" in said["attention"]
    assert "the history as a whole" in said["sasrec"]
    assert all("no interest graph" in said[name] for name in ("attention", "sasrec"))
    assert records["graph"].edges
    assert [grid.title.split()[0] for grid in tables(records["graph"]).grids] == [
        "Interests",
        "Interest",
        "Recommended,",
    ]
    assert records["sasrec"].interests[-1].title.startswith("until ")


def test_times_are_shown_only_where_they_are_known(tiny_runs):
    run = load(tiny_runs("graph"))
    record = run.explain(items=run.data.prepared.item_keys[:3])
    assert [event.time for event in record.events] == [None] * 3
    assert (record.user, record.unseen) == ("somebody new", 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_model_has_a_figure(name, records, tmp_path):
    for form in (".png", ".pdf", ".svg"):
        save_figure(records[name], tmp_path / f"why{form}")
        assert (tmp_path / f"why{form}").stat().st_size > 10_000
    assert not list(tmp_path.glob(".*"))


def test_a_figure_of_one_event_of_negative_parts_and_of_dollar_signs(records, tiny_runs):
    run = load(tiny_runs("graph"))
    draw(run.explain(items=run.data.prepared.item_keys[:1], k=1))
    record = records["graph"]
    odd = replace(record.reasons[0], title="$5 and $6_x", prior=-3.0, score=record.reasons[0].score - 3)
    drawn = draw(replace(record, reasons=(odd,)))
    drawn.canvas.draw()
    low, _ = drawn.axes[2].get_xlim()
    assert low == pytest.approx(-3 + sum(min(value, 0) for value in odd.contributions))


def test_the_program_names_what_it_made(tiny_runs, records, tmp_path, capsys):
    made = [tmp_path / "why.json", tmp_path / "new" / "why.png"]
    words = (tiny_runs("graph"), "--user", records["graph"].user, "-k", 4, "--json", made[0], "--figure", made[1])
    status, printed, told = call(capsys, *words)
    assert (status, told) == (0, "")
    assert printed.splitlines()[-2:] == [str(path) for path in made]
    assert all(path.is_file() for path in made)
    assert Record.from_json(json.loads(made[0].read_text())) == records["graph"]


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("popularity", ("--user", "u1"), "popularity has no model with interests"),
        ("graph", ("--user", "u1", "--figure", "why.gif"), "figure why.gif ends in '.gif'; it is one of .png"),
        ("graph", ("--items", "nix"), "no item of the history is in simulator"),
    ],
)
def test_faults_are_one_line_on_standard_error(name, words, message, tiny_runs, capsys):
    folder = tiny_runs(name)
    capsys.readouterr()  # what the first training of the session printed
    status, printed, told = call(capsys, folder, *words)
    assert (status, printed) == (1, "")
    assert told.startswith(f"explain: {message}")
    assert told.count("\n") == 1


def test_one_history_at_a_time(tiny_runs, tmp_path, capsys):
    path = tmp_path / "two.tsv"
    path.write_text("user\titem\nann\ti1\nbob\ti2\n")
    status, _, told = call(capsys, tiny_runs("graph"), "--history", path)
    assert status == 1
    assert "holds 2 histories; explain takes one" in told


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, tiny_runs, tmp_path, capsys):
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    status, _, told = call(capsys, tiny_runs("graph"), "--user", "u1", "--figure", tmp_path / "why.png")
    assert (status, told) == (1, "explain: figures need matplotlib: pip install 'interestlab[figures]'\n")


def test_groups_by_hand():
    # Two directions at right angles, three interests each; six interests make at most two groups.
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [0, 1]], dtype=float)
    assert groups(vectors @ vectors.T) == [0, 0, 1, 0, 1, 1]
    assert groups(np.ones((1, 1))) == [0]
    many = np.random.default_rng(0).normal(size=(40, 3))
    unit = many / np.linalg.norm(many, axis=1, keepdims=True)
    assert sorted(set(groups(unit @ unit.T))) == list(range(6))


def test_sparklines_and_short_words_by_hand():
    assert sparkline([0, 0.5, 1]) == " ▄█"
    assert sparkline([0.2] * 3) == "███"
    assert sparkline([0.0, 0.0]) == "  "
    assert len(sparkline([1.0] * 50)) == 24
    assert shortened("The Lord of the Rings", 40) == "The Lord of the Rings"
    assert shortened("The Lord of the Rings", 15) == "The Lord of…"
