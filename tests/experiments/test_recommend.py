"""Recommendations: strangers and users of the corpus, what is left out, the program, and faults of the input."""

import json

import numpy as np
import pytest

from experiments import load
from experiments.asking.history_file import read_histories
from experiments.asking.moment import moment
from experiments.asking.questions import of_histories, of_users
from experiments.recommend import main


@pytest.fixture(scope="module")
def run(tiny_runs):
    return load(tiny_runs("graph"))


def table_of(run, user, columns=("item", "behaviour", "time", "strength")):
    """A user's events as the lines of a history file, everything but the user's name."""
    data = run.data.prepared
    lines = ["\t".join(columns)]
    for event in range(data.offsets[user], data.offsets[user + 1]):
        strength = data.strength[event]
        cells = {
            "item": data.item_keys[data.item[event]],
            "behaviour": data.behaviours[data.behaviour[event]],
            "time": repr(float(data.time[event])),
            "strength": "" if np.isnan(strength) else repr(float(strength)),
        }
        lines.append("\t".join(cells[name] for name in columns))
    return "\n".join(lines) + "\n"


def call(capsys, *words):
    """Exit status, standard output, standard error."""
    status = main([str(word) for word in words])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("user", [0, 7, 31])
def test_a_stranger_with_a_users_history_gets_the_users_list_bit_for_bit(user, run, tmp_path):
    path = tmp_path / "history.tsv"
    path.write_text(table_of(run, user))
    stranger = run.answers(of_histories(run.data, read_histories(path, run.catalogue)))[0]
    assert stranger.recommended == run.recommend(run.data.prepared.users[user])


def test_behaviour_time_and_strength_move_the_scores(run, tmp_path):
    path = tmp_path / "history.tsv"
    found = []
    for columns in (
        ("item", "behaviour", "time", "strength"),
        ("item", "behaviour", "time"),
        ("item", "time"),
        ("item",),
    ):
        path.write_text(table_of(run, 7, columns))
        answered = run.answers(of_histories(run.data, read_histories(path, run.catalogue)))[0]
        found.append(tuple(one.score for one in answered.recommended))
    assert len(set(found)) == 4


def test_a_user_gets_the_same_list_alone_and_among_others(run):
    users = run.data.prepared.users
    together = run.answers(of_users(run.data, users))
    assert [answered.user for answered in together] == list(users)
    for user in (0, 12, 59):
        assert together[user].recommended == run.recommend(users[user])


def test_what_was_had_is_left_out_unless_asked_for(run):
    data = run.data.prepared
    user = 3
    had = {data.item_keys[item] for item in data.item[data.offsets[user] : data.offsets[user + 1]]}
    new = run.recommend(data.users[user], k=60)
    everything = run.recommend(data.users[user], k=60, repeat=True)
    assert {one.item for one in new} == set(data.item_keys) - had
    assert {one.item for one in everything} == set(data.item_keys)
    assert [one.item for one in everything if one.item not in had] == [one.item for one in new]


def test_titles_ids_and_a_file_are_one_history(run, tmp_path):
    items = [4, 9, 17]
    keys, titles = ([source[item] for item in items] for source in (run.data.prepared.item_keys, run.catalogue.titles))
    path = tmp_path / "history.csv"
    path.write_text("title\n" + "\n".join(f'"{title}"' for title in titles))
    expected = run.recommend(items=keys)
    assert run.recommend(titles=[title.upper() for title in titles]) == expected
    assert run.answers(of_histories(run.data, read_histories(path, run.catalogue)))[0].recommended == expected


def test_times_decide_the_order_and_now_moves_the_weights(run, tmp_path):
    path = tmp_path / "history.tsv"
    keys = run.data.prepared.item_keys
    path.write_text(f"item\ttime\n{keys[5]}\t2024-01-03\n{keys[1]}\t2024-01-01\n{keys[2]}\t2024-01-02T12:00\n")
    histories = read_histories(path, run.catalogue)
    assert [event.item for event in histories[0].events] == [1, 2, 5]
    asked = of_histories(run.data, histories)
    early, late = (run.answers(one)[0].recommended for one in (asked, asked.at(moment("2031-01-01"))))
    assert early != late
    with pytest.raises(ValueError, match="before the last event"):
        asked.at(moment("2024-01-02"))


def test_now_means_nothing_without_times(run):
    with pytest.raises(ValueError, match="without times"):
        run.question(items=run.data.prepared.item_keys[:2]).at(2e9)


def test_k_is_at_least_one(run):
    with pytest.raises(ValueError, match="k is 0"):
        run.recommend("u0", k=0)


def test_the_program_prints_a_table_and_writes_json_whose_path_comes_last(tiny_runs, run, tmp_path, capsys):
    out, users = tmp_path / "lists.json", run.data.prepared.users[:2]
    status, printed, told = call(capsys, tiny_runs("graph"), "--user", *users, "-k", 3, "--out", out)
    assert (status, told) == (0, "")
    assert printed.splitlines()[-1] == str(out)
    assert f"For {users[1]}" in printed
    record = json.loads(out.read_text())
    assert [one["user"] for one in record["users"]] == list(users)
    expected = [[one.item for one in run.recommend(user, k=3)] for user in users]
    assert [[one["item"] for one in user["recommended"]] for user in record["users"]] == expected
    _, printed, _ = call(capsys, tiny_runs("graph"), "--user", *users, "-k", 3, "--json")
    assert json.loads(printed) == record


def test_unknown_items_are_named_and_the_rest_is_used(tiny_runs, run, capsys):
    keys = run.data.prepared.item_keys
    status, printed, told = call(capsys, tiny_runs("graph"), "--items", f"nix,{keys[0]}, {keys[1]}", "--json")
    assert status == 0
    assert told == "warning: left out of the history of somebody new, not in simulator: nix\n"
    assert json.loads(printed)["users"][0]["unknown"] == ["nix"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--items", "nix,nox"], "no item of the history is in simulator: nix, nox; ids there look like"),
        (["--items", " , "], "the history is empty"),
        (["--user", "u9999"], "user 'u9999' is not in simulator, which has 60 users"),
        (["--titles", "qqqqqqqqqqqqq"], "no title in simulator is or holds 'qqqqqqqqqqqqq'"),
        (["--titles", " "], "a title is empty"),
        (["--user", "u1", "-k", "0"], "k is 0"),
        (["--history", "absent.tsv"], "absent.tsv: no such file"),
    ],
)
def test_faults_are_one_line_on_standard_error(words, message, tiny_runs, capsys):
    status, printed, told = call(capsys, tiny_runs("graph"), *words)
    assert (status, printed) == (1, "")
    assert told.startswith(f"recommend: {message}")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; its first line names the columns"),
        ("item\n\n", "holds no event below its header"),
        ("itemm\ni1\n", "line 1: the header names 'itemm'.*did you mean 'item'"),
        ("item\ttitle\ni1\tx\n", "line 1: has the columns item, title; exactly one of"),
        ("user\nme\n", "line 1: has the columns user; exactly one of"),
        ("item\ttime\ni1\tsoon\n", "line 2: 'soon' is no time; write seconds"),
        ("item\ttime\ni1\tnan\n", "line 2: 'nan' is no time"),
        ("item\ttime\ni1\t5\ni2\t\n", "line 3: user 'somebody new' has times on other lines"),
        ("item\tstrength\ni1\tmuch\n", "line 2: strength 'much' is no number"),
        ("item\tbehaviour\ni1\tbuys\n", "line 2: the history names 'buys'.*did you mean 'buy'"),
        ("item\tbehaviour\ni1\n", "line 2: has 1 cells, the header 2"),
        ("title\nqqqqqqqqqqq\n", "line 2: no title in simulator"),
    ],
)
def test_faults_of_a_history_name_file_and_line(text, message, run, tmp_path):
    path = tmp_path / "history.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"history\.tsv(:|,) {message}"):
        read_histories(path, run.catalogue)


def test_several_histories_in_a_file(run, tmp_path):
    path = tmp_path / "history.tsv"
    path.write_text("user\titem\nann\ti1\nbob\ti2\nann\tnix\nann\ti3\n")
    ann, bob = read_histories(path, run.catalogue)
    keys = run.data.prepared.item_keys
    assert (ann.user, [keys[event.item] for event in ann.events], ann.unknown) == ("ann", ["i1", "i3"], ("nix",))
    assert (bob.user, [keys[event.item] for event in bob.events], bob.unknown) == ("bob", ["i2"], ())
