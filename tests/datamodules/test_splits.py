"""No split lets training see what is asked, whatever the data; the rest can be counted by hand."""

import numpy as np
import pytest

from datamodules.corpus import DataError
from datamodules.splits.given import GivenSplit
from datamodules.splits.leave_one_out import LeaveOneOutSplit
from datamodules.splits.temporal import TemporalSplit
from tests.datamodules.small_corpus import prepared, random_events

SPLITTERS = {
    "leave_one_out": (LeaveOneOutSplit(), False),
    "temporal": (TemporalSplit(), False),
    "temporal, other shares": (TemporalSplit(valid=0.3, test=0.25), False),
    "given": (GivenSplit(), True),
}


def answers(queries):
    """(user, stop, answers) of each query."""
    spans = zip(queries.offsets[:-1], queries.offsets[1:], strict=True)
    return [
        (int(u), int(s), queries.events[a:b].tolist())
        for u, s, (a, b) in zip(queries.user, queries.stop, spans, strict=True)
    ]


@pytest.fixture(params=SPLITTERS)
def cut(request, tmp_path):
    """A prepared corpus and its split, for every splitter."""
    splitter, marked = SPLITTERS[request.param]
    p = prepared(tmp_path, random_events(5, split=marked))
    return p, splitter(p)


def test_training_is_a_prefix_of_each_users_events(cut):
    p, split = cut
    assert split.train_stop.dtype == np.int64
    assert ((split.train_stop >= p.offsets[:-1]) & (split.train_stop <= p.offsets[1:])).all()


def test_nothing_that_is_asked_was_trained_on_or_stands_in_the_history(cut):
    p, split = cut
    assert set(split.queries) == {"valid", "test"}
    for queries in split.queries.values():
        assert len(queries.user) > 5
        for user, stop, events in answers(queries):
            assert events[0] == stop >= split.train_stop[user]
            assert events == list(range(stop, stop + len(events)))
            assert p.offsets[user] < stop
            assert events[-1] < p.offsets[user + 1]


def test_validation_and_test_ask_for_different_events(cut):
    _, split = cut
    valid, test = (set(split.queries[name].events.tolist()) for name in ("valid", "test"))
    assert not valid & test


def test_a_test_history_includes_the_validation_events(cut):
    _, split = cut
    asked_before = {user: events for user, _, events in answers(split.queries["valid"])}
    both = [(asked_before[user], stop) for user, stop, _ in answers(split.queries["test"]) if user in asked_before]
    assert len(both) > 3
    assert all(events[-1] < stop for events, stop in both)


def test_the_time_of_a_query_is_that_of_its_last_history_event(cut):
    p, split = cut
    for queries in split.queries.values():
        np.testing.assert_array_equal(queries.time, p.time[queries.stop - 1])


def test_the_last_event_is_asked_in_the_test_and_the_one_before_in_validation(tmp_path):
    # a owns events 0..3, b 4..6, c 7..8 (too few), d 9
    events = [(user, "x", float(t)) for user, n in (("a", 4), ("b", 3), ("c", 2), ("d", 1)) for t in range(n)]
    split = LeaveOneOutSplit()(prepared(tmp_path, events))
    assert split.train_stop.tolist() == [2, 5, 9, 10]
    assert answers(split.queries["valid"]) == [(0, 2, [2]), (1, 5, [5])]
    assert answers(split.queries["test"]) == [(0, 3, [3]), (1, 6, [6])]


def test_without_times_queries_have_none(tmp_path):
    split = LeaveOneOutSplit()(prepared(tmp_path, [("a", "x")] * 3))
    assert split.queries["test"].time is None


def test_users_with_too_few_events_alone_cannot_be_asked(tmp_path):
    with pytest.raises(DataError, match=r"no user of 'small' has 3 events, so .*the most is 2"):
        LeaveOneOutSplit()(prepared(tmp_path, [("a", "x"), ("a", "y"), ("b", "x")]))


def test_a_temporal_cut_divides_the_whole_log(tmp_path):
    """Ten events at times 0..9: with shares 0.2 and 0.2 training ends at time 5, validation at 7.

    a: 0 1 6 8; b: 2 7; c: 3 4 5 (never asked); d: 9 (no history)."""
    whose = {"a": [0, 1, 6, 8], "b": [2, 7], "c": [3, 4, 5], "d": [9]}
    p = prepared(tmp_path, [(user, "x", float(t)) for user, times in whose.items() for t in times])
    split = TemporalSplit(valid=0.2, test=0.2)(p)
    assert split.train_stop.tolist() == [2, 5, 9, 9]
    assert answers(split.queries["valid"]) == [(0, 2, [2]), (1, 5, [5])]
    assert answers(split.queries["test"]) == [(0, 3, [3])]


def test_no_training_event_is_later_than_a_test_answer(tmp_path):
    for seed in range(5):
        p = prepared(tmp_path / str(seed), random_events(seed))
        split = TemporalSplit()(p)
        trained = np.concatenate([p.time[a:b] for a, b in zip(p.offsets[:-1], split.train_stop, strict=True)])
        valid, test = (p.time[split.queries[name].events] for name in ("valid", "test"))
        assert trained.max() < valid.min() <= valid.max() < test.min()
        assert len(trained) >= 0.8 * len(p.item)


@pytest.mark.parametrize(("valid", "test"), [(0.0, 0.1), (0.1, 0.0), (0.5, 0.5), (-0.1, 0.3)])
def test_shares_out_of_range_are_refused(valid, test):
    with pytest.raises(ValueError, match=f"valid={valid}, test={test}"):
        TemporalSplit(valid, test)


def test_a_temporal_split_needs_times(tmp_path):
    with pytest.raises(DataError, match="no times; choose split=leave_one_out"):
        TemporalSplit()(prepared(tmp_path, [("a", "x")] * 3))


def test_a_given_split_that_disagrees_with_time_cannot_be_cut_at_a_moment(tmp_path):
    events = [("a", "x", 1.0, "view", None, "train"), ("b", "x", 9.0, "view", None, "train")]
    p = prepared(tmp_path, [*events, ("b", "x", 2.0, "view", None, "test")])
    with pytest.raises(DataError, match=r"events of user 'b' out of order in time, .* choose split=given"):
        TemporalSplit()(p)


def test_a_cut_that_nobody_crosses_is_reported(tmp_path):
    p = prepared(tmp_path, [(f"u{t}", "x", float(t)) for t in range(20)])
    with pytest.raises(DataError, match=r"both sides of the valid cut at time 15\.0; enlarge split\.valid"):
        TemporalSplit()(p)


def test_a_given_split_is_kept(tmp_path):
    # a: train 0 1, valid 2, test 3 4; b: train 5, test 6; c: valid 7, test 8; d: train 9. c's test history is event 7
    marks = {"a": "train train valid test test", "b": "train test", "c": "valid test", "d": "train"}
    events = [(user, "x", None, "view", None, mark) for user, all_ in marks.items() for mark in all_.split()]
    split = GivenSplit()(prepared(tmp_path, events))
    assert split.train_stop.tolist() == [2, 6, 7, 10]
    assert answers(split.queries["valid"]) == [(0, 2, [2])]
    assert answers(split.queries["test"]) == [(0, 3, [3, 4]), (1, 6, [6]), (2, 8, [8])]


def test_events_without_a_mark_are_reported(tmp_path):
    events = [("a", "x", None, "view", None, "train"), ("a", "x"), ("a", "x")]
    with pytest.raises(DataError, match="2 of 3 events of 'small' belong to no split in its files; choose"):
        GivenSplit()(prepared(tmp_path, events))


def test_a_given_split_without_a_part_is_reported(tmp_path):
    events = [("a", "x", None, "view", None, "train"), ("a", "x", None, "view", None, "test")]
    with pytest.raises(DataError, match="events marked 'valid'"):
        GivenSplit()(prepared(tmp_path, events))
