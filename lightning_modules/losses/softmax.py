"""Cross-entropy over the candidates, corrected for how they were sampled.

    loss = - sum_q value_q log( exp(f(c_q) - log q(c_q)) / sum_c exp(f(c) - log q(c)) ) / sum_q value_q

With every item a candidate, log q = 0 and this is the full softmax. The correction makes the sampled softmax estimate
the full one (Bengio & Senecal 2008; Yi et al. 2019, equation 4).
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from datamodules.types import Targets


class SoftmaxLoss(nn.Module):
    """The sum over queries; `weight` is the sum of their values."""

    def forward(self, scores: Float[Tensor, "Q C"], targets: Targets) -> Float[Tensor, ""]:
        return (targets.value * cross_entropy(scores, targets.column, reduction="none")).sum()

    def addend(self, log_q: Float[Tensor, " C"]) -> Float[Tensor, " C"]:
        """The correction."""
        return -log_q

    def weight(self, targets: Targets) -> Float[Tensor, ""]:
        """What the sum is divided by."""
        return targets.value.sum()
