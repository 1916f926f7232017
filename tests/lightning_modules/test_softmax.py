"""The loss over blocks of candidates: one block or many (law 6), PyTorch's own, and what log-q is for."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from datamodules.batching.inclusion import log_inclusion
from datamodules.types import Targets
from lightning_modules.losses.softmax import SoftmaxLoss
from lightning_modules.types import ScoreBlock
from tests.lightning_modules.composition import choices

Q, C = 13, 40


def blocks(scores, log_q, size):
    return [ScoreBlock(i, scores[:, i : i + size], log_q[i : i + size]) for i in range(0, scores.shape[1], size)]


def draw(seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 4 * torch.randn(Q, C, generator=generator)
    log_q = -3 * torch.rand(C, generator=generator)
    column = torch.randint(C, (Q,), generator=generator)
    return scores, log_q, Targets(column, torch.rand(Q, generator=generator) + 0.1)


def test_every_loss_was_found():
    assert "softmax" in choices("loss")


@pytest.mark.parametrize("size", [1, 7, 39, 40])
def test_many_blocks_equal_one_and_pytorch_and_so_do_their_gradients(size):
    scores, log_q, targets = draw()
    scores.requires_grad_()
    logits = scores - log_q
    each = cross_entropy(logits, targets.column, reduction="none")
    expected = (targets.value * each).sum() / targets.value.sum()
    found = SoftmaxLoss()(blocks(scores, log_q, size), targets)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, scores, retain_graph=True)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_scores_of_any_size_stay_finite():
    scores, log_q, targets = draw()
    found = SoftmaxLoss()(blocks(scores * 1e4, log_q, 7), targets)
    torch.testing.assert_close(
        found, (targets.value * cross_entropy(scores * 1e4 - log_q, targets.column, reduction="none")).sum()
        / targets.value.sum(),
    )  # fmt: skip


def test_two_candidates_by_hand():
    # exp(f): 3 and 1; the target has 3 of 4. With q = (3/4, 1/4) both count 4: 1/2.
    scores, target = torch.tensor([[3.0, 1.0]]).log(), Targets(torch.tensor([0]), torch.ones(1))
    loss = SoftmaxLoss()
    torch.testing.assert_close(loss(blocks(scores, torch.zeros(2), 2), target), torch.tensor(4 / 3).log())
    corrected = loss(blocks(scores, torch.tensor([3 / 4, 1 / 4]).log(), 2), target)
    torch.testing.assert_close(corrected, torch.tensor(2.0).log())


def test_no_candidates_are_refused():
    with pytest.raises(ValueError, match="no candidates"):
        SoftmaxLoss()([], Targets(torch.tensor([0]), torch.ones(1)))


ITEMS, ROUNDS = 200, 1200
POPULARITY = 1 / torch.arange(1, ITEMS + 1).float()
POPULARITY /= POPULARITY.sum()
TRUTH = torch.randn(ITEMS, generator=torch.Generator().manual_seed(1))


def mean_gradient(scores, draws, corrected):
    """Mean gradient of the loss over sampled candidates: in each round the target is a draw from softmax(TRUTH), the
    rest of a batch comes by popularity."""
    generator = torch.Generator().manual_seed(0)
    log_q = torch.from_numpy(log_inclusion(POPULARITY.numpy(), draws)).float()
    total = torch.zeros(ITEMS)
    for _ in range(ROUNDS):
        target = torch.multinomial(TRUTH.softmax(0), 1, generator=generator)
        drawn = torch.multinomial(POPULARITY, draws, replacement=True, generator=generator)
        ids = torch.cat([target, drawn]).unique()
        free = scores[ids][None].requires_grad_()
        used = log_q[ids] if corrected else torch.zeros(len(ids))
        column = Targets(torch.searchsorted(ids, target), torch.ones(1))
        SoftmaxLoss()([ScoreBlock(0, free, used)], column).backward()
        total[ids] += free.grad[0]
    return total / ROUNDS


@pytest.mark.parametrize("draws", [20, 120])
@pytest.mark.parametrize("scores", [TRUTH, torch.zeros(ITEMS)], ids=["at rest", "elsewhere"])
def test_with_log_q_the_sampled_gradient_is_the_full_one_but_for_noise(scores, draws):
    """The full gradient is softmax(scores) - softmax(TRUTH). The targets' own noise is about 1 / sqrt(rounds). Without
    the correction popular items are pushed down."""
    full = scores.softmax(0) - TRUTH.softmax(0)
    corrected, naive = (mean_gradient(scores, draws, flag) - full for flag in (True, False))
    assert corrected.norm() < 1.2 * ROUNDS**-0.5
    assert naive.norm() > 2 * corrected.norm()
    assert naive[:10].mean() > 5 * corrected[:10].mean().abs()
