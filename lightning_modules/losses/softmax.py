"""Cross-entropy over the candidates, corrected for how they were sampled.

    loss = - sum_q value_q log( exp(f(c_q) - log q(c_q)) / sum_c exp(f(c) - log q(c)) ) / sum_q value_q

With every item a candidate, log q = 0 and this is the full softmax. The correction makes the sampled softmax estimate
the full one (Bengio & Senecal 2008; Yi et al. 2019, equation 4).
"""

from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from datamodules.types import Targets


class SoftmaxLoss(nn.Module):
    """The sum over queries; `weight` is the sum of their values."""

    def forward(self, scores: Float[Tensor, "Q C"], targets: Targets) -> Float[Tensor, ""]:
        surprise = cast(Tensor, _CrossEntropy.apply(scores, targets.column))
        return (targets.value * surprise).sum()

    def addend(self, log_q: Float[Tensor, " C"]) -> Float[Tensor, " C"]:
        """The correction."""
        return -log_q

    def weight(self, targets: Targets) -> Float[Tensor, ""]:
        """What the sum is divided by."""
        return targets.value.sum()


class _CrossEntropy(torch.autograd.Function):
    """-log softmax(scores)[column] of each query, with one exponential a score for value and gradient together.

    PyTorch's own takes the exponential again in the backward pass, and passes a second array of all scores, zero but
    for a number in each row, between its two halves. Scores are the largest thing of a step.
    """

    @staticmethod
    def forward(ctx: Any, scores: Float[Tensor, "Q C"], column: Int[Tensor, " Q"]) -> Float[Tensor, " Q"]:
        chance = scores.softmax(-1)
        ctx.save_for_backward(chance, column)
        # The log of the sum of exponentials, from its largest term: at least 1 / C of it, so nothing underflows.
        log_sum = scores.amax(-1) - chance.amax(-1).log()
        return log_sum - scores.gather(-1, column[:, None])[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, " Q"]) -> tuple[Tensor, None]:
        chance, column = ctx.saved_tensors
        found = chance.mul_(gradient[:, None])  # a second backward pass would find it changed, and raise
        found[torch.arange(len(column), device=column.device), column] -= gradient
        return found, None
