"""What objectives ask: laws over every YAML of conf/objective, then tiny users by hand."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from datamodules.batching.examples import Objective
from datamodules.objectives.last import LastObjective
from datamodules.objectives.next import NextObjective
from experiments.config.instantiate import instantiate

CONF = Path(__file__).resolve().parents[2] / "conf" / "objective"
CHOICES = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted(CONF.glob("*.yaml"))}
# Training events of six users in one flat log: none, one, two, five and twelve; two test events lie after each.
COUNTS = np.array([0, 1, 2, 5, 12, 1])
STARTS = np.concatenate([[0], np.cumsum(COUNTS + 2)[:-1]])


def asked(name, length, counts=COUNTS, starts=STARTS):
    objective = instantiate(CHOICES[name] | {"history_length": length})
    return objective, objective(starts, starts + counts)


def pairs(examples):
    """(flat event that a query may look at last, flat event that answers) of each query."""
    owner = np.repeat(np.arange(len(examples)), np.diff(examples.offsets))
    return owner, examples.start[owner] + examples.position, examples.target


def test_every_choice_was_found():
    assert len(CHOICES) >= 2


@pytest.mark.parametrize("length", [1, 2, 3, 50])
@pytest.mark.parametrize("name", sorted(CHOICES))
def test_every_training_event_but_a_users_first_is_the_answer_of_one_query(name, length):
    _, examples = asked(name, length)
    due = [start + k for start, count in zip(STARTS, COUNTS, strict=True) for k in range(1, count)]
    assert sorted(examples.target) == due


@pytest.mark.parametrize("length", [1, 2, 3, 50])
@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_query_looks_at_events_before_its_answer_of_its_own_user_alone(name, length):
    objective, examples = asked(name, length)
    assert isinstance(objective, Objective)
    owner, last, target = pairs(examples)
    assert (last < target).all()
    assert (examples.start >= STARTS[examples.user]).all()
    assert (examples.stop <= STARTS[examples.user] + COUNTS[examples.user]).all()  # no validation or test event
    assert (last < examples.stop[owner]).all()
    assert (examples.stop - examples.start <= length).all()
    assert (examples.stop > examples.start).all()
    if not objective.every_position:  # then the whole window is history, and the answer may not stand in it
        assert (examples.stop[owner] <= target).all()


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_nobody_with_two_training_events_leaves_nothing_to_ask(name):
    _, examples = asked(name, 5, np.array([1, 0, 1]), np.array([0, 3, 5]))
    assert len(examples) == 0
    assert examples.offsets.tolist() == [0]


def rows(examples):
    fields = ("user", "start", "stop", "position", "target")
    return {field: getattr(examples, field).tolist() for field in fields}


def test_next_by_hand():
    # One user with training events 10 11 12 13 14; the answers are 11 .. 14. Windows of 3 counted from the end:
    # events 11 12 13 answered by 12 13 14, then event 10 answered by 11.
    examples = NextObjective(3)(np.array([10]), np.array([15]))
    assert rows(examples) == {
        "user": [0, 0],
        "start": [11, 10],
        "stop": [14, 11],
        "position": [0, 1, 2, 0],
        "target": [12, 13, 14, 11],
    }
    assert examples.offsets.tolist() == [0, 3, 4]


def test_last_by_hand():
    # The same user: each answer with at most 3 events before it.
    examples = LastObjective(3)(np.array([10]), np.array([15]))
    assert rows(examples) == {
        "user": [0, 0, 0, 0],
        "start": [10, 10, 10, 11],
        "stop": [11, 12, 13, 14],
        "position": [0, 1, 2, 2],
        "target": [11, 12, 13, 14],
    }
    assert examples.offsets.tolist() == [0, 1, 2, 3, 4]


def test_windows_that_fit_hold_the_same_questions_under_both():
    _, one_pass = asked("next", 50)
    _, apart = asked("last", 50)
    sets = [set(zip(*pairs(examples)[1:], strict=True)) for examples in (one_pass, apart)]
    assert sets[0] == sets[1]


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_history_of_nothing_is_refused(name):
    with pytest.raises(ValueError, match="history_length is 0"):
        asked(name, 0)
