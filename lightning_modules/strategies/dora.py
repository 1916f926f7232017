"""Train the length of each row of a weight matrix, and its direction by a low-rank correction."""

from collections.abc import Sequence

from torch import nn

from lightning_modules.parts.injection import peft_plan
from lightning_modules.parts.low_rank import LowRank
from lightning_modules.types import Plan


class DoraStrategy:
    """W becomes m * (W + s B A) / ||W + s B A||, with s = alpha / r; A, B and the magnitudes m train, W is frozen.

    Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation", equation 5. The norm is taken of what makes one
    output: of each column in the paper, whose matrices are transposed, of each row of a (out, in) weight here. As in
    section 4.3 the norm counts as a constant in the backward pass. m starts at the norms of W and B at zero, so step 0
    is the pretrained model; the bias is left as it is. By peft, which with dropout also feeds W the input after dropout
    wherever m has moved: (m / norm - 1) W dropout(x).

    r: rank, >= 1. alpha: scale, > 0. dropout: see above. targets: roles (see `parts.families`) or regular expressions
    for the last parts of a module's name; ValueError for one that matches no linear module.
    """

    def __init__(
        self, r: int = 8, alpha: float = 16.0, dropout: float = 0.0, targets: Sequence[str] = ("query", "value")
    ) -> None:
        self.low_rank = LowRank("DoraStrategy", r, alpha, dropout, targets)

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return peft_plan(self.low_rank.config(pretrained, use_dora=True), pretrained)
