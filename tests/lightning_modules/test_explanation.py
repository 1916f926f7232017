"""Explanations: exact sums over every interest and head, weights over time, edges by hand, and what is refused."""

import math
from dataclasses import replace

import pytest
import torch

from datamodules.types import Queries
from lightning_modules.backbones.item_id import ItemIdBackbone
from lightning_modules.explanation import explain, require_sum, weights_over_time
from lightning_modules.interests.graph import GraphInterest
from lightning_modules.interests.mean import MeanInterest
from lightning_modules.parts.encoder import Encoder
from lightning_modules.recommender import Recommender
from lightning_modules.strategies.full import FullStrategy
from tests.lightning_modules.composition import (
    BEHAVIOURS,
    INTERESTS,
    PAIRS,
    D,
    N,
    ask_at_the_end,
    ask_everywhere,
    build,
    close,
    draw_events,
    draw_vectors,
    rows,
    scores,
)

VECTORS = draw_vectors()
CANDIDATES = torch.tensor([7, 0, 29, 12])
every_pair = pytest.mark.parametrize(("interest", "head"), PAIRS)


def model_of(interest, head, **settings):
    encoder = Encoder(ItemIdBackbone(N, dim=D), FullStrategy())
    return Recommender(encoder, build("interest", interest), build("head", head, prior="learned", **settings)).eval()


def explained(model, events, candidates=CANDIDATES, vectors=VECTORS):
    return explain(model, vectors, events, ask_at_the_end(events), candidates)


@every_pair
def test_contributions_and_prior_add_up_to_what_the_user_scores_among_others(interest, head):
    model, events = model_of(interest, head), draw_events()
    together = scores(model.interest, model.head, VECTORS, events, ask_at_the_end(events), CANDIDATES)
    for user in range(len(events.user)):
        found = explained(model, rows(events, [user]))
        assert found.prior.abs().min() > 0
        close(found.contributions.sum(0) + found.prior, together[user])
        close(found.scores, together[user])


@every_pair
def test_candidates_can_be_permuted_and_padding_is_invisible(interest, head):
    model, events = model_of(interest, head), rows(draw_events(width=20), [2])
    found = explained(model, events)
    order = torch.tensor([2, 0, 3, 1])
    close(explained(model, events, CANDIDATES[order]).contributions, found.contributions[:, order])
    short = replace(
        events, **{name: value[:, :12] for name, value in vars(events).items() if value is not None and value.ndim == 2}
    )
    again = explained(model, short)
    assert again.owner.tolist() == list(range(12))
    for name in ("contributions", "timeline", "weights", "event_cosine", "node_cosine"):
        close(getattr(again, name), getattr(found, name))


@pytest.mark.parametrize("interest", INTERESTS)
def test_weights_over_time_are_those_of_one_pass_that_asks_everywhere(interest):
    model, events = model_of(interest, "dot"), rows(draw_events(), [2])
    with torch.no_grad():
        once = model.ask(VECTORS, events, ask_everywhere(events)).interests.weights[0]
        close(weights_over_time(model, VECTORS, events), once)
    found = explained(model, events)
    close(found.timeline.sum(1), torch.ones(12))
    close(found.timeline.triu(1), torch.zeros(12, 12))
    close(found.timeline[-1], found.weights)


def test_asking_later_moves_the_weights_now_and_not_the_past():
    model, events = model_of("graph", "graph"), rows(draw_events(), [2])
    queries = ask_at_the_end(events)
    later = Queries(queries.position, queries.mask, queries.time + 1e8)
    before, after = (explain(model, VECTORS, events, asked, CANDIDATES) for asked in (queries, later))
    assert (before.weights - after.weights).abs().max() > 1e-3
    assert torch.equal(before.timeline, after.timeline)


@pytest.mark.parametrize(
    ("interest", "meaning"),
    [("mean", "event"), ("attention", "event"), ("graph", "context"), ("transformer", "state")],
)
def test_what_a_node_means(interest, meaning):
    assert explained(model_of(interest, "dot"), rows(draw_events(), [2])).meaning == meaning


def test_without_propagation_a_node_is_its_event():
    model = model_of("mean", "graph")
    model.interest = GraphInterest(D, BEHAVIOURS, steps=0).eval()
    assert explained(model, rows(draw_events(), [2])).meaning == "event"


def test_edges_by_hand():
    # Unit vectors at 0, 40, 90 and 170 degrees, of which the history visits items 0, 1, 2, 3, 0. With tau = 0.5 an edge
    # needs less than 60 degrees: (0, 1) is 40 apart, (1, 2) is 50, (0, 4) is 0, (1, 4) is 40.
    angles = torch.tensor([math.radians(angle) for angle in (0, 40, 90, 170)])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    model = model_of("mean", "graph", tau=0.5)
    model.interest = MeanInterest()
    events = draw_events((5,))
    events.slot = torch.tensor([[0, 1, 2, 3, 0]])
    found = explained(model, events, torch.tensor([1]), vectors)
    assert found.tau == 0.5
    assert sorted(map(tuple, found.edges().tolist())) == [(0, 1), (0, 4), (1, 2), (1, 4)]
    # Item 1 gets (cos 40 - .5) from items 0, (1 - .5) from itself, (cos 50 - .5) from item 2, nothing from item 3.
    expected = torch.tensor([0.2660, 0.5, 0.1428, 0.0, 0.2660])
    close((found.contributions[:, 0] / found.contributions[1, 0] * 0.5).round(decimals=4), expected)


def test_a_model_without_a_cut_has_no_edges():
    found = explained(model_of("transformer", "dot"), rows(draw_events(), [2]))
    assert found.tau is None
    assert found.edges().shape == (0, 2)


def test_a_head_whose_parts_do_not_make_its_score_is_refused():
    model = model_of("mean", "dot")
    part = model.head.contributions
    model.head.contributions = lambda asked, vectors: part(asked, vectors) * 1.001
    with pytest.raises(ArithmeticError, match=r"contributions of candidate \d miss its score"):
        explained(model, rows(draw_events(), [2]))


def test_how_far_a_sum_may_be_off():
    parts, prior = torch.tensor([[1.0, 10.0], [2.0, 20.0]]), torch.tensor([0.5, 5.0])
    require_sum(parts, prior, torch.tensor([3.5 + 3e-5, 35 - 3e-4]))
    with pytest.raises(ArithmeticError, match="candidate 1 miss its score"):
        require_sum(parts, prior, torch.tensor([3.5, 35 + 4e-4]))


def test_what_is_refused():
    model, events = model_of("graph", "graph"), draw_events()
    one = rows(events, [0])
    with pytest.raises(ValueError, match="one user at one moment, not 4 users at 1 moments"):
        explained(model, events)
    with pytest.raises(ValueError, match="one user at one moment, not 1 users at 5 moments"):
        explain(model, VECTORS, rows(draw_events((5,)), [0]), ask_everywhere(draw_events((5,))), CANDIDATES)
    with pytest.raises(ValueError, match="without events"):
        explain(model, VECTORS, replace(one, mask=one.mask & False), ask_at_the_end(one), CANDIDATES)
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        explained(model.train(), one)
