"""Law 6: heads equal their formula as a loop. Law 9: graph and dot differ where the cut bites, and only there."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from lightning_modules.heads.dot import DotHead
from lightning_modules.heads.graph import GraphHead
from lightning_modules.parts.prior import make_prior
from lightning_modules.parts.temperature import Temperature
from lightning_modules.types import Asked, Interests
from tests.lightning_modules.composition import (
    COUNTS,
    HEADS,
    D,
    N,
    ask_everywhere,
    build,
    close,
    draw_events,
    draw_vectors,
)

VECTORS = draw_vectors()


def asked_by(nodes, seed=0):
    """Random weights over the events of random users, asked everywhere."""
    events = draw_events(seed=seed)
    weights = torch.rand(*events.slot.shape, events.slot.shape[1], generator=torch.Generator().manual_seed(seed))
    visible = events.mask[:, None, :].expand_as(weights)
    weights = (weights * visible) / (weights * visible).sum(-1, keepdim=True)
    return Asked(Interests(nodes[events.slot], weights, events.slot), ask_everywhere(events).mask)


@torch.no_grad()
@pytest.mark.parametrize("tau", [-1.0, -0.2, 0.0, 0.4])
def test_the_graph_head_equals_its_triple_loop(tau):
    head, asked = build("head", "graph", tau=tau, prior="popularity"), asked_by(VECTORS)
    found = head.scores(asked, head.pool(VECTORS, torch.arange(N)))
    user, moment = asked.mask.nonzero(as_tuple=True)
    for q, (b, t) in enumerate(zip(user.tolist(), moment.tolist(), strict=True)):
        for c in range(0, N, 5):
            total = 0.0
            for v, node in enumerate(asked.interests.nodes[b]):
                cosine = float(cosine_similarity(node, VECTORS[c], dim=0))
                total += float(asked.interests.weights[b, t, v]) * max(cosine - tau, 0.0)
            expected = total * float(head.temperature.log_scale.exp()) + float(head.prior(torch.tensor([c])))
            assert float(found[q, c]) == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("similarity", ["cosine", "inner"])
def test_the_dot_head_is_one_product(similarity):
    head, asked = build("head", "dot", similarity=similarity), asked_by(VECTORS)
    scale = (lambda x: normalize(x, dim=-1)) if similarity == "cosine" else (lambda x: x)
    one = torch.einsum("btv,bvd->btd", asked.interests.weights, scale(asked.interests.nodes))[asked.mask]
    close(
        head.scores(asked, head.pool(VECTORS, torch.arange(N))),
        one @ scale(VECTORS).T * head.temperature.log_scale.exp(),
    )


def ranking(head, asked, vectors):
    with torch.no_grad():
        return head.scores(asked, head.pool(vectors, torch.arange(len(vectors)))).argsort(1, descending=True)


def test_where_the_cut_bites_graph_and_dot_rank_differently():
    graph, dot, asked = GraphHead(COUNTS), DotHead(COUNTS), asked_by(VECTORS)
    graph.cut.calibrate(VECTORS)
    assert 0.4 < float(graph.cut.share) < 0.6  # centred random vectors: half of the pairs point apart
    differ = (ranking(graph, asked, VECTORS) != ranking(dot, asked, VECTORS)).any(1)
    several = (asked.interests.weights[asked.mask] > 0).sum(1) > 1
    assert differ[several].float().mean() > 0.9


@torch.no_grad()
def test_where_nothing_is_cut_graph_is_dot_to_the_last_digits():
    """sum_v w (cos + 1) = sum_v w cos + 1: with tau = -1 the heads differ by 1 / temperature, for every item alike."""
    graph, dot, asked = GraphHead(COUNTS, tau=-1.0), DotHead(COUNTS), asked_by(VECTORS)
    ids = torch.arange(N)
    graph.cut.calibrate(VECTORS)
    assert float(graph.cut.share) == 0
    close(graph.scores(asked, graph.pool(VECTORS, ids)), dot.scores(asked, dot.pool(VECTORS, ids)) + 1 / 0.07)


@torch.no_grad()
def test_raw_vectors_of_one_direction_make_graph_and_dot_one():
    """What a pretrained encoder gives without centring: all cosines positive, tau = 0 cuts nothing."""
    crowded = VECTORS / 10 + torch.eye(D)[0]
    graph, dot, asked = GraphHead(COUNTS), DotHead(COUNTS), asked_by(crowded)
    graph.cut.calibrate(crowded)
    assert float(graph.cut.share) == 0
    ids = torch.arange(N)
    close(graph.scores(asked, graph.pool(crowded, ids)), dot.scores(asked, dot.pool(crowded, ids)))


@torch.no_grad()
@pytest.mark.parametrize("name", HEADS)
def test_a_prior_is_an_addend_of_its_own(name):
    ids, asked = torch.arange(N), asked_by(VECTORS)
    bare = build("head", name, prior="none")
    assert bare.prior(ids).tolist() == [0] * N
    for prior in ("popularity", "learned"):
        head = build("head", name, prior=prior)
        head.temperature.log_scale.copy_(bare.temperature.log_scale)
        assert head.prior(ids).abs().max() > 0
        close(
            head.scores(asked, head.pool(VECTORS, ids)), bare.scores(asked, bare.pool(VECTORS, ids)) + head.prior(ids)
        )


@torch.no_grad()
def test_priors_by_hand():
    # Counts 0, 1, 2 of three items: shares (c + 1) / 6 are 1/6, 2/6, 3/6.
    prior = make_prior("popularity", torch.tensor([0, 1, 2]))
    assert prior(torch.tensor([2, 0])).tolist() == [0, 0]
    prior.scale.fill_(2.0)
    close(prior(torch.tensor([2, 0])), 2 * torch.log(torch.tensor([3 / 6, 1 / 6])))
    learned = make_prior("learned", torch.tensor([0, 1, 2]))
    assert learned.bias.tolist() == [0, 0, 0]


@torch.no_grad()
def test_temperatures_by_hand():
    close(Temperature(0.5)(torch.tensor([1.0, -3.0])), torch.tensor([2.0, -6.0]))
    bounded = Temperature()
    bounded.log_scale.fill_(20.0)
    close(bounded(torch.tensor([1.0])), torch.tensor([100.0]))
    with pytest.raises(ValueError, match=r"temperature is 0.001; the smallest is 0.01"):
        Temperature(0.001)


@pytest.mark.parametrize("initial", [0.01, 0.07])
def test_a_temperature_at_its_bound_can_come_back(initial):
    part = Temperature(initial)
    optimizer = torch.optim.SGD(part.parameters(), lr=1e-3)
    for _ in range(200):
        optimizer.zero_grad()
        part(torch.tensor(1.0)).backward()  # a smaller scale is better
        optimizer.step()
    assert part.log_scale.exp() < 10
