"""The dense mathematics that benchmarks compare with are those of our own seams."""

import pytest
import torch

from benchmarks.loops.dense import DenseHead, DenseInterest, DenseRecommender
from datamodules.types import Batch, Candidates, Items, Targets
from lightning_modules.chunked_loss import chunked_loss
from lightning_modules.losses.softmax import SoftmaxLoss
from lightning_modules.types import Asked
from tests.lightning_modules.composition import (
    BEHAVIOURS,
    D,
    N,
    ask_everywhere,
    build,
    close,
    draw_events,
    draw_vectors,
)


@pytest.mark.parametrize("prior", ["none", "learned"])
def test_loss_and_gradients_equal_ours(prior):
    interest, head = build("interest", "graph"), build("head", "graph", prior=prior)
    dense = DenseRecommender(DenseInterest(D, BEHAVIOURS, has_times=True), DenseHead(N * (prior == "learned")), D)
    dense.interest.load_state_dict({k: v for k, v in interest.state_dict().items() if not k.startswith("cut.")})
    with torch.no_grad():
        dense.head.log_scale.copy_(head.temperature.log_scale)
        if dense.head.bias is not None:
            dense.head.bias.copy_(head.item_prior.bias)
    vectors, asked = draw_vectors(), batch()
    ours, theirs = (vectors.clone().requires_grad_() for _ in range(2))
    fast = our_loss(interest, head, ours, asked)
    slow = dense.eval()(theirs, asked)
    close(fast.detach(), slow.detach())
    fast.backward()
    slow.backward()
    close(ours.grad, theirs.grad)


def batch():
    events = draw_events()
    queries = ask_everywhere(events)
    column = torch.randint(N, (int(queries.mask.sum()),), generator=torch.Generator().manual_seed(2))
    candidates = Candidates(torch.arange(N), torch.linspace(-3, 0, N))
    return Batch(Items(torch.arange(N)), events, queries, candidates, Targets(column, torch.ones(len(column))))


def our_loss(interest, head, vectors, asked):
    answered = Asked(interest(vectors[asked.events.slot], asked.events, asked.queries), asked.queries.mask)
    pool = head.pool(vectors[asked.candidates.slot], asked.items.ids)
    return chunked_loss(head, SoftmaxLoss(), answered, pool, asked.candidates.log_q, asked.targets)
