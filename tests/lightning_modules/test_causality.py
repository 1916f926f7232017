"""Law 3 inside the model: position t sees neither t + 1 nor the target's time. Over every causal interest of conf/."""

from dataclasses import replace

import pytest
import torch

from tests.lightning_modules.composition import (
    BEHAVIOURS,
    DAY,
    HEADS,
    INTERESTS,
    N,
    ask_at_the_end,
    ask_everywhere,
    build,
    close,
    draw_events,
    draw_vectors,
    scores,
)

CAUSAL = [name for name in INTERESTS if build("interest", name).causal]
LENGTH = 9
FIELDS = ("slot", "behaviour", "strength", "time")


def one_user(seed=0):
    return draw_events(lengths=(LENGTH,), seed=seed)


def changed_from(events, first, field):
    """The history with one column drawn anew from position `first` on."""
    value = getattr(events, field).clone()
    fresh = {
        "slot": (value + 1 + torch.arange(LENGTH)) % N,
        "behaviour": (value + 1) % BEHAVIOURS,
        "strength": value + 3,
        "time": value + 50 * DAY * (1 + torch.arange(LENGTH)),
    }[field]
    value[:, first:] = fresh[:, first:]
    return replace(events, **{field: value})


def test_every_causal_interest_was_found():
    assert len(CAUSAL) >= 4


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("interest", CAUSAL)
def test_a_position_never_sees_the_next_one(interest, head, field):
    pair, vectors, events = (build("interest", interest), build("head", head)), draw_vectors(), one_user()
    before = scores(*pair, vectors, events, ask_everywhere(events))
    for first in range(1, LENGTH):
        other = changed_from(events, first, field)
        after = scores(*pair, vectors, other, ask_everywhere(other))
        close(after[:first], before[:first])


@pytest.mark.parametrize("interest", CAUSAL)
def test_the_last_position_does_see_the_first(interest):
    """Or the test above would test nothing."""
    pair, vectors, events = (build("interest", interest), build("head", "dot")), draw_vectors(), one_user()
    other = replace(events, slot=events.slot.clone())
    other.slot[0, 0] = (events.slot[0, 0] + 1) % N
    before, after = (scores(*pair, vectors, e, ask_everywhere(e)) for e in (events, other))
    assert not torch.allclose(after[-1], before[-1], atol=1e-6)


@pytest.mark.parametrize("interest", CAUSAL)
def test_nodes_that_a_query_weighs_are_those_of_the_past_alone(interest):
    part, vectors, events = build("interest", interest), draw_vectors(), one_user()
    nodes = part(vectors[events.slot], events, ask_everywhere(events)).nodes
    for first in range(1, LENGTH):
        other = changed_from(events, first, "slot")
        close(part(vectors[other.slot], other, ask_everywhere(other)).nodes[:, :first], nodes[:, :first])


@pytest.mark.parametrize("interest", CAUSAL)
def test_asking_everywhere_asks_what_asking_at_each_end_would(interest):
    """Training in one pass equals T separate histories, each asked at its end: the definition of causal."""
    pair, vectors, events = (build("interest", interest), build("head", "graph")), draw_vectors(), one_user()
    at_once = scores(*pair, vectors, events, ask_everywhere(events))
    for t in range(LENGTH):
        past = replace(events, **{name: getattr(events, name)[:, : t + 1] for name in (*FIELDS, "mask")})
        close(scores(*pair, vectors, past, ask_at_the_end(past)), at_once[[t]])


@pytest.mark.parametrize("interest", INTERESTS)
def test_data_without_times_are_no_hindrance(interest):
    """Age is then a distance in positions, so that it still falls."""
    part, vectors = build("interest", interest), draw_vectors()
    events = replace(one_user(), time=None)
    queries = replace(ask_everywhere(one_user()), time=None)
    found = part(vectors[events.slot], events, queries)
    assert found.weights.isfinite().all()


def test_what_only_times_could_train_is_not_there_without_them():
    with_times, without = (dict(build("interest", "graph", has_times=t).named_parameters()) for t in (True, False))
    assert with_times.keys() - without.keys() == {"day_decay"}


def test_a_question_asked_later_finds_events_older():
    part, vectors, events = build("interest", "graph"), draw_vectors(), one_user()
    queries = ask_at_the_end(events)
    part.day_decay.data.fill_(1.0)
    now = part(vectors[events.slot], events, queries).weights
    later = part(vectors[events.slot], events, replace(queries, time=queries.time + 30 * DAY)).weights
    # log(1 + days) of a fresh event grows most, so it loses weight to the old ones.
    assert later[0, 0, -1] < now[0, 0, -1]
