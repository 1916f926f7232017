"""Preparation equals its slow, obvious twin, whatever engine runs it, and is made once."""

import math
from collections import Counter

import ibis
import numpy as np
import pytest

from datamodules.corpus import DataError
from datamodules.preparing.preparation import Filters, fingerprint, prepare
from tests.datamodules.small_corpus import (
    FixedSource,
    corpus,
    entries,
    prepared,
    random_events,
    random_truth,
)

FILTERS = {
    "none": Filters(),
    "behaviours": Filters(behaviours=("buy", "click")),
    "strength": Filters(min_strength=3.0),
    "first": Filters(duplicates="first"),
    "last": Filters(duplicates="last"),
    "user core": Filters(min_user_events=9),
    "item core": Filters(min_item_events=4),
    "core": Filters(min_user_events=12, min_item_events=12),
    "all": Filters(3, 3, 2.0, ("buy", "view"), "last"),
}


def twin(events, keys, filters):
    """Per user, by first sight, the events as (item, time, behaviour, strength, split, row); and the catalogue."""
    part = {None: -1, "train": 0, "valid": 1, "test": 2}
    rows = [(*event, row) for row, event in enumerate(events)]
    order = sorted(rows, key=lambda r: (part[r[5]], r[2] or 0.0, r[6]))
    if filters.behaviours:
        order = [r for r in order if r[3] in filters.behaviours]
    if filters.min_strength is not None:
        order = [r for r in order if r[4] is not None and r[4] >= filters.min_strength]
    if filters.duplicates != "keep":
        chosen = {}
        for r in order if filters.duplicates == "last" else reversed(order):
            chosen[r[:2]] = r
        order = [r for r in order if chosen[r[:2]] is r]
    size = -1
    while size != len(order):
        size = len(order)
        users, items = Counter(r[0] for r in order), Counter(r[1] for r in order)
        order = [r for r in order if users[r[0]] >= filters.min_user_events and items[r[1]] >= filters.min_item_events]
    first = sorted({r[0] for r in order}, key=lambda user: min(r[6] for r in order if r[0] == user))
    left = {r[1] for r in order}
    catalogue = {key for key in keys if key in left or not filters.min_item_events}
    return {user: [(r[1], *r[2:5], part[r[5]], r[6]) for r in order if r[0] == user] for user in first}, catalogue


def told(p):
    """A prepared corpus in the twin's words."""
    out = {}
    for u, user in enumerate(p.users):
        rows = range(p.offsets[u], p.offsets[u + 1])
        out[user] = [
            (
                p.item_keys[p.item[e]],
                None if p.time is None else p.time[e],
                p.behaviours[p.behaviour[e]],
                None if math.isnan(p.strength[e]) else p.strength[e],
                p.split[e],
                p.row[e],
            )
            for e in rows
        ]
    return out, set(p.item_keys)


@pytest.mark.parametrize("split", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("name", FILTERS)
def test_preparation_equals_its_slow_twin(tmp_path, name, split):
    keys = [f"i{i}" for i in range(40)]
    for seed in range(3):
        events = random_events(seed, split=split)
        found = prepared(tmp_path / str(seed), events, FILTERS[name], keys=keys)
        expected = twin(events, keys, FILTERS[name])
        assert found.report["events"] > 20
        assert told(found) == expected
        assert list(told(found)[0]) == list(expected[0])


# 2026-11-24, ibis 12.0 with pandas 3.0: its SQLite results go through pandas
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
@pytest.mark.parametrize("name", ["none", "all"])
def test_another_engine_gives_the_same(tmp_path, name):
    source = FixedSource(corpus(random_events(7, split=True)))
    ours = prepare(source, FILTERS[name], tmp_path / "duckdb")
    engine = ibis.sqlite.connect()
    theirs = prepare(source, FILTERS[name], tmp_path / "sqlite", connection=engine)
    assert theirs.digest == ours.digest
    assert theirs.report == ours.report
    assert engine.list_tables() == []  # its temporary tables are gone


def test_ties_are_broken_by_row_of_reading(tmp_path):
    events = [("a", "x", 5.0), ("b", "x", 1.0), ("a", "z", 5.0), ("a", "y", 5.0), ("a", "w", 2.0)]
    p = prepared(tmp_path, events)
    assert [p.item_keys[i] for i in p.item[: p.offsets[1]]] == ["w", "x", "z", "y"]


def test_without_times_the_order_is_that_of_the_rows(tmp_path):
    p = prepared(tmp_path, [("a", "x"), ("b", "q"), ("a", "c"), ("a", "x"), ("a", "b")])
    assert p.time is None
    assert [p.item_keys[i] for i in p.item[: p.offsets[1]]] == ["x", "c", "x", "b"]


def test_a_given_split_makes_training_events_a_prefix(tmp_path):
    p = prepared(tmp_path, random_events(3, split=True))
    inside = np.ones(len(p.split), bool)
    inside[p.offsets[:-1]] = False
    assert (np.diff(p.split, prepend=0)[inside] >= 0).all()


def test_item_ids_tell_nothing(tmp_path):
    keys = [f"{i:04d}" for i in range(2000)]
    p = prepared(tmp_path, [("u", key, float(i)) for i, key in enumerate(keys)], keys=keys)
    assert sorted(p.item_keys) == keys
    correlation = np.corrcoef(np.arange(2000), [int(key) for key in p.item_keys])[0, 1]
    assert abs(correlation) < 0.07  # three standard deviations of the correlation of a random permutation


def test_behaviours_are_numbered_by_name_and_nought_is_unknown(tmp_path):
    events = [("a", "x", 1.0, "view"), ("a", "y", 2.0, "view"), ("a", "x", 3.0, "buy"), ("a", "x", 4.0, "")]
    p = prepared(tmp_path, events)
    assert p.behaviours == ("", "buy", "view")
    assert p.behaviour.tolist() == [2, 2, 1, 0]


def test_the_truth_follows_its_items_and_rows(tmp_path):
    events, rng = random_events(1, n=60), np.random.default_rng(0)
    keys = [f"i{i}" for i in range(30)]
    truth = random_truth(rng, len(events), len(keys))
    p = prepared(tmp_path, events, Filters(min_item_events=2), keys=keys, truth=truth)
    assert 0 < len(p.item_keys) < len(keys)
    for item, key in enumerate(p.item_keys):
        np.testing.assert_array_equal(p.truth.topics[:, item], truth.topics[:, keys.index(key)])
    np.testing.assert_array_equal(p.truth.mixture, truth.mixture)
    assert [events[row][1] for row in p.row] == [p.item_keys[i] for i in p.item]


def test_the_report_counts_what_was_found(tmp_path):
    # a's last two events tie, b's first two do; c has one event; nobody touched z, y only by the event that is removed
    events = [("a", "w", 1.0, "view", 5.0), ("a", "x", 2.0, "view", 5.0), ("a", "w", 2.0, "view", 4.0)]
    events += [("b", "w", 1.0, "view", 4.0), ("b", "x", 1.0, "view", 4.0), ("b", "w", 3.0, "view", 4.0)]
    events += [("c", "x", 9.0, "view", 4.0), ("c", "y", 9.0, "view", 1.0)]
    p = prepared(tmp_path, events, Filters(min_strength=4.0), keys=["w", "x", "y", "z"])
    assert p.report == {
        "filters": [
            {"filter": "read", "events": 8, "users": 3, "items": 3},
            {"filter": "min_strength=4.0", "events": 7, "users": 3, "items": 2},
        ],
        "events": 7,
        "users": 3,
        "items": 4,
        "items_without_events": 2,
        "short_users": 1,
        "history": {"min": 1, "median": 3.0, "max": 3},
        "tied_events": 2,
        "tied_last": 1,
    }


def test_a_prepared_corpus_is_reused_and_not_read_again(tmp_path):
    first = prepare(FixedSource(corpus(random_events(0))), Filters(), tmp_path)
    again = prepare(FixedSource(corpus(random_events(1))), Filters(), tmp_path)  # what is loaded is not asked
    assert again.folder == first.folder
    assert again.digest == first.digest
    assert len(entries(tmp_path / "prepared")) == 2  # the folder and its lock: no spill, no leftover


def test_the_fingerprint_knows_settings_filters_and_raw_files(tmp_path):
    raw = tmp_path / "raw"
    raw.write_text("1")
    small = corpus(random_events(0, n=10))
    marks = [
        fingerprint(FixedSource(small, "a", (raw,)), Filters()),
        fingerprint(FixedSource(small, "b", (raw,)), Filters()),
        fingerprint(FixedSource(small, "a", (raw,)), Filters(min_user_events=1)),
        fingerprint(FixedSource(small, "a"), Filters()),
    ]
    raw.write_text("2")
    marks.append(fingerprint(FixedSource(small, "a", (raw,)), Filters()))
    assert len(set(marks)) == 5
    (tmp_path / "other").mkdir()
    moved = raw.rename(tmp_path / "other" / "raw")
    assert fingerprint(FixedSource(small, "a", (moved,)), Filters()) == marks[-1]


def test_the_digest_is_that_of_the_contents(tmp_path):
    one = prepared(tmp_path / "1", random_events(0))
    assert prepared(tmp_path / "2", random_events(0)).digest == one.digest
    assert prepared(tmp_path / "3", random_events(1)).digest != one.digest


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (Filters(min_strength=6.0), "min_strength=6.0 removed 40 of 40. Loosen min_strength=6.0"),
        (
            Filters(behaviours=("buy",), min_user_events=50),
            "behaviours=\\[buy\\] removed .* of 40; min_user_events=50 removed (.*) of \\1. Loosen min_user_events=50",
        ),
    ],
)
def test_filters_that_leave_nothing_say_which_removed_how_many(tmp_path, filters, message):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, random_events(0, n=40), filters)


def test_a_misspelt_behaviour_gets_the_nearest_right_word(tmp_path):
    with pytest.raises(
        DataError, match=r"filters.behaviours names 'clik', .* buy, click, view; did you mean 'click'\?"
    ):
        prepared(tmp_path, random_events(0), Filters(behaviours=("clik",)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_user_events": -1}, "min_user_events is -1"),
        ({"duplicates": "both"}, "'both'"),
        ({"behaviours": "buy"}, r"give a list, \[buy\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):  # the shape checker may come first with its TypeError
        Filters(**settings)
