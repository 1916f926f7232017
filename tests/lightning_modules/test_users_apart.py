"""Law 2: a user scores the same alone and in a batch, padding is invisible, candidates can be permuted.

Over every interest and head of conf/: a new YAML is picked up as it is.
"""

from dataclasses import replace

import pytest
import torch

from lightning_modules.types import Asked
from tests.lightning_modules.composition import (
    HEADS,
    INTERESTS,
    LENGTHS,
    PAIRS,
    N,
    ask_at_the_end,
    ask_everywhere,
    build,
    close,
    draw_events,
    draw_vectors,
    of_user,
    rows,
    scores,
)

USERS = range(len(LENGTHS))
MOMENTS = [ask_everywhere, ask_at_the_end]
every_pair = pytest.mark.parametrize(("interest", "head"), PAIRS)
every_moment = pytest.mark.parametrize("ask", MOMENTS)


def test_every_choice_was_found():
    assert len(INTERESTS) >= 4
    assert len(HEADS) >= 2
    assert len(PAIRS) == len(INTERESTS) * len(HEADS)
    assert len(set(LENGTHS)) >= 3


def parts(interest, head):
    return build("interest", interest), build("head", head, prior="learned")


@every_moment
@every_pair
def test_a_user_scores_the_same_alone_and_in_a_batch(interest, head, ask):
    pair, vectors, events = parts(interest, head), draw_vectors(), draw_events()
    together = scores(*pair, vectors, events, ask(events))
    for user in USERS:
        alone = rows(events, [user])
        alone = replace(
            alone, **{n: v[:, : LENGTHS[user]] for n, v in vars(alone).items() if v is not None and v.ndim == 2}
        )
        own = of_user(together, events, user) if ask is ask_everywhere else together[[user]]
        close(scores(*pair, vectors, alone, ask(alone)), own)


@every_moment
@every_pair
def test_padding_is_invisible(interest, head, ask):
    """Wider, and with other rubbish behind the mask."""
    pair, vectors, events = parts(interest, head), draw_vectors(), draw_events()
    wider, rubbish = draw_events(width=20), draw_events(width=20, seed=5)
    fields = ("slot", "behaviour", "strength", "time")
    for name in fields:
        value = getattr(rubbish, name).clone()
        value[:, : events.slot.shape[1]] = torch.where(
            events.mask, getattr(events, name), value[:, : events.slot.shape[1]]
        )
        wider = replace(wider, **{name: value})
    close(scores(*pair, vectors, wider, ask(wider)), scores(*pair, vectors, events, ask(events)))


@every_pair
def test_permuted_candidates_have_permuted_scores(interest, head):
    pair, vectors, events = parts(interest, head), draw_vectors(), draw_events()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    found = scores(*pair, vectors, events, ask_everywhere(events))
    close(scores(*pair, vectors, events, ask_everywhere(events), order), found[:, order])
    close(scores(*pair, vectors, events, ask_everywhere(events), order[:4]), found[:, order[:4]])


@every_pair
def test_what_others_did_does_not_matter(interest, head):
    pair, vectors, events = parts(interest, head), draw_vectors(), draw_events()
    other = draw_events(seed=9)
    found, changed = (scores(*pair, vectors, e, ask_everywhere(e)) for e in (events, other))
    for user in USERS:
        mixed = rows(other, list(USERS))
        for name, value in vars(mixed).items():
            value[user] = getattr(events, name)[user]
        mine = of_user(scores(*pair, vectors, mixed, ask_everywhere(mixed)), events, user)
        close(mine, of_user(found, events, user))
        assert not torch.allclose(of_user(changed, events, user), mine)  # what the user did does


@every_moment
@pytest.mark.parametrize("interest", INTERESTS)
def test_weights_are_shares_of_what_is_known(interest, ask):
    vectors, events = draw_vectors(), draw_events()
    queries = ask(events)
    found = build("interest", interest)(vectors[events.slot], events, queries)
    asked = found.weights[queries.mask]
    close(asked.sum(-1), torch.ones(len(asked)))
    assert (asked >= 0).all()
    assert found.weights.isfinite().all()  # rows of invalid queries mean nothing, and are no NaN that could spread
    user, moment = queries.mask.nonzero(as_tuple=True)
    later = found.owner[user] > queries.position[user, moment][:, None]
    assert (asked[later] == 0).all()
    assert (asked[found.owner[user] < 0] == 0).all()


@every_pair
def test_contributions_and_prior_add_up_to_the_score(interest, head):
    pair, vectors, events = parts(interest, head), draw_vectors(), draw_events()
    queries = ask_everywhere(events)
    asked = Asked(pair[0](vectors[events.slot], events, queries), queries.mask)
    given = pair[1].contributions(asked, vectors)
    assert given.shape[:2] == (sum(LENGTHS), asked.interests.nodes.shape[1])
    close(given.sum(1) + pair[1].prior(torch.arange(N)), scores(*pair, vectors, events, queries))
