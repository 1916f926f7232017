"""Law 6: a loss taken over a few users at a time equals the loss of all scores at once, and so do its gradients."""

import pytest
import torch
from torch import nn

from datamodules.types import Targets
from lightning_modules import chunked_loss as module
from lightning_modules.chunked_loss import chunked_loss, chunks
from lightning_modules.heads.dot import DotHead
from lightning_modules.losses.softmax import SoftmaxLoss
from lightning_modules.types import Asked, Interests, Pool
from tests.lightning_modules.composition import (
    PAIRS,
    N,
    ask_at_the_end,
    ask_everywhere,
    build,
    close,
    draw_events,
    draw_vectors,
)

LENGTHS = (5, 1, 12, 5, 3, 12, 5)


def step(interest, ask=ask_everywhere, skip=()):
    """Asked interests of users of unequal history, inputs that want a gradient, and random answers."""
    vectors, events = draw_vectors().requires_grad_(), draw_events(LENGTHS)
    queries = ask(events)
    for user in skip:
        queries.mask[user] = False
    asked = Asked(build("interest", interest)(vectors[events.slot], events, queries), queries.mask)
    generator = torch.Generator().manual_seed(3)
    n = int(queries.mask.sum())
    targets = Targets(torch.randint(N, (n,), generator=generator), torch.rand(n, generator=generator) + 0.1)
    return vectors, asked, targets, -torch.rand(N, generator=generator)


def gradients(loss, inputs, head):
    """Of the inputs and of the head's parameters; None where there is none or all of it is zero."""
    found = torch.autograd.grad(loss, [*inputs, *head.parameters()], allow_unused=True, retain_graph=True)
    return [None if gradient is None or not gradient.any() else gradient for gradient in found]


@pytest.mark.parametrize("ask", [ask_everywhere, ask_at_the_end], ids=["everywhere", "last"])
@pytest.mark.parametrize("at_once", [1, 400, 10**9])
@pytest.mark.parametrize(("interest", "head"), PAIRS)
def test_few_users_at_a_time_equal_all_at_once(interest, head, at_once, ask, monkeypatch):
    monkeypatch.setattr(module, "SCORES_AT_ONCE", at_once)
    vectors, asked, targets, log_q = step(interest, ask, skip=(1,))
    scored, loss = build("head", head, prior="learned"), SoftmaxLoss()
    pool = scored.pool(vectors, torch.arange(N))
    whole = loss(scored.scores(asked, pool) - log_q, targets) / loss.weight(targets)
    found = chunked_loss(scored, loss, asked, pool, log_q, targets)
    close(found, whole)
    for first, second in zip(*(gradients(each, [vectors], scored) for each in (3 * found, 3 * whole)), strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            close(first, second)


def test_a_chunk_holds_users_of_one_shape_and_every_query_once():
    _, asked, _, _ = step("graph", skip=(1,))
    made = chunks(asked, N, at_once=2 * 5 * N)
    assert [chunk.users.tolist() for chunk in made] == [[4], [0, 3], [6], [2], [5]]
    assert torch.equal(torch.cat([chunk.queries for chunk in made]).sort().values, torch.arange(int(asked.mask.sum())))
    counts = asked.mask.sum(1)
    for chunk in made:
        assert (counts[chunk.users] == chunk.moments).all()


def test_without_gradient_the_loss_is_the_same():
    vectors, asked, targets, log_q = step("graph")
    head = build("head", "graph")
    pool = head.pool(vectors, torch.arange(N))
    with_gradient = chunked_loss(head, SoftmaxLoss(), asked, pool, log_q, targets)
    with torch.no_grad():
        without = chunked_loss(head, SoftmaxLoss(), asked, pool, log_q, targets)
    assert with_gradient.requires_grad
    assert not without.requires_grad
    assert torch.equal(with_gradient.detach(), without)


def test_only_what_is_wanted_is_differentiated(monkeypatch):
    """Frozen vectors without a projection: neither nodes nor pool want a gradient, weights and temperature do."""
    vectors, asked, targets, log_q = step("graph")
    head = build("head", "graph")
    weights = asked.interests.weights.detach().requires_grad_()
    frozen = Asked(Interests(asked.interests.nodes.detach(), weights, asked.interests.owner), asked.mask)
    grad, wanted = torch.autograd.grad, []
    monkeypatch.setattr(torch.autograd, "grad", lambda out, of, **how: wanted.append(len(of)) or grad(out, of, **how))
    found = chunked_loss(head, SoftmaxLoss(), frozen, head.pool(vectors.detach(), torch.arange(N)), log_q, targets)
    found.backward()
    assert weights.grad.any()
    assert set(wanted) == {2}


class Biased(DotHead):
    """A head with two addends of one shape, whose gradients are one tensor to autograd."""

    def __init__(self, **facts):
        super().__init__(**facts)
        self.bias = nn.Parameter(torch.zeros(N))

    def scores(self, asked, pool):
        return super().scores(asked, Pool(pool.vectors, pool.prior + self.bias))


class Shares(SoftmaxLoss):
    """A loss that holds a parameter of the head."""

    def __init__(self, head):
        super().__init__()
        self.bias = head.bias


@pytest.mark.parametrize("shared", [False, True], ids=["two addends", "a shared parameter"])
def test_gradients_that_autograd_shares_are_kept_apart(shared, monkeypatch):
    vectors, asked, targets, log_q = step("graph")
    head = Biased(item_counts=torch.ones(N, dtype=torch.long), prior="learned")
    loss = Shares(head) if shared else SoftmaxLoss()
    pool = head.pool(vectors, torch.arange(N))
    expected = gradients(loss(head.scores(asked, pool) - log_q, targets) / loss.weight(targets), [vectors], head)
    for at_once in (1, 10**9):
        monkeypatch.setattr(module, "SCORES_AT_ONCE", at_once)
        found = gradients(chunked_loss(head, loss, asked, pool, log_q, targets), [vectors], head)
        for first, second in zip(found, expected, strict=True):
            close(first, second)
