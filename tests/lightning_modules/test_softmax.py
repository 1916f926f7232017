"""The loss: PyTorch's own, values by hand, and what log-q is for."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from datamodules.batching.inclusion import log_inclusion
from datamodules.types import Targets
from lightning_modules.losses.softmax import SoftmaxLoss
from tests.lightning_modules.composition import choices

Q, C = 13, 40


def mean(scores, log_q, targets):
    loss = SoftmaxLoss()
    return loss(scores + loss.addend(log_q), targets) / loss.weight(targets)


def draw(seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 4 * torch.randn(Q, C, generator=generator)
    log_q = -3 * torch.rand(C, generator=generator)
    column = torch.randint(C, (Q,), generator=generator)
    return scores, log_q, Targets(column, torch.rand(Q, generator=generator) + 0.1)


def test_every_loss_was_found():
    assert "softmax" in choices("loss")


def test_the_loss_is_pytorchs_weighted_mean_of_corrected_scores():
    scores, log_q, targets = draw()
    each = cross_entropy(scores - log_q, targets.column, reduction="none")
    expected = (targets.value * each).sum() / targets.value.sum()
    torch.testing.assert_close(mean(scores, log_q, targets), expected)


def test_the_gradient_is_pytorchs():
    scores, log_q, targets = draw()
    own, reference = ((30 * scores).requires_grad_() for _ in range(2))
    (3 * mean(own, log_q, targets)).backward()
    each = cross_entropy(reference - log_q, targets.column, reduction="none")
    (3 * (targets.value * each).sum() / targets.value.sum()).backward()
    torch.testing.assert_close(own.grad, reference.grad)


def test_a_second_backward_pass_is_refused_and_never_wrong():
    scores, log_q, targets = draw()
    loss = mean(scores.requires_grad_(), log_q, targets)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_scores_of_any_size_stay_finite():
    scores, log_q, targets = draw()
    found = mean(scores * 1e4, log_q, targets)
    torch.testing.assert_close(
        found, (targets.value * cross_entropy(scores * 1e4 - log_q, targets.column, reduction="none")).sum()
        / targets.value.sum(),
    )  # fmt: skip


def test_two_candidates_by_hand():
    # exp(f): 3 and 1; the target has 3 of 4. With q = (3/4, 1/4) both count 4: 1/2.
    scores, target = torch.tensor([[3.0, 1.0]]).log(), Targets(torch.tensor([0]), torch.ones(1))
    torch.testing.assert_close(mean(scores, torch.zeros(2), target), torch.tensor(4 / 3).log())
    corrected = mean(scores, torch.tensor([3 / 4, 1 / 4]).log(), target)
    torch.testing.assert_close(corrected, torch.tensor(2.0).log())


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
        SoftmaxLoss()(free - used, column).backward()
        total[ids] += free.grad[0]
    return total / ROUNDS


@pytest.mark.parametrize("draws", [20, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scores", [TRUTH, torch.zeros(ITEMS)], ids=["at rest", "elsewhere"])
def test_with_log_q_the_sampled_gradient_is_the_full_one_but_for_noise(scores, draws):
    """The full gradient is softmax(scores) - softmax(TRUTH). The targets' own noise is about 1 / sqrt(rounds). Without
    the correction popular items are pushed down."""
    full = scores.softmax(0) - TRUTH.softmax(0)
    corrected, naive = (mean_gradient(scores, draws, flag) - full for flag in (True, False))
    assert corrected.norm() < 1.2 * ROUNDS**-0.5
    assert naive.norm() > 2 * corrected.norm()
    assert naive[:10].mean() > 5 * corrected[:10].mean().abs()
