"""Cross-entropy over the candidates, corrected for how they were sampled.

    loss = - sum_q value_q log( exp(f(c_q) - log q(c_q)) / sum_c exp(f(c) - log q(c)) ) / sum_q value_q

With every item a candidate, log q = 0 and this is the full softmax. The correction makes the sampled softmax estimate
the full one (Bengio & Senecal 2008; Yi et al. 2019, equation 4).
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Targets
from lightning_modules.types import ScoreBlock


class SoftmaxLoss(nn.Module):
    """Streams over blocks: keeps the log of the sum so far and each target's score."""

    def forward(self, blocks: Iterable[ScoreBlock], targets: Targets) -> Float[Tensor, ""]:
        normaliser, answer = None, None
        for block in blocks:
            logits = block.scores - block.log_q
            total = logits.logsumexp(1)
            normaliser = total if normaliser is None else torch.logaddexp(normaliser, total)
            found = _pick(logits, targets.column - block.start)
            answer = found if answer is None else answer + found
        if normaliser is None or answer is None:
            raise ValueError("the loss was given no candidates to compare")
        return (targets.value * (normaliser - answer)).sum() / targets.value.sum()


def _pick(logits: Float[Tensor, "Q C"], column: Tensor) -> Float[Tensor, " Q"]:
    """The logit in each row's column, 0 where the column lies outside this block."""
    inside = (column >= 0) & (column < logits.shape[1])
    picked = logits.gather(1, torch.where(inside, column, 0)[:, None])[:, 0]
    return torch.where(inside, picked, 0.0)
