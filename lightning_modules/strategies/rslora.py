"""Train a low-rank correction whose scale does not shrink as its rank grows."""

from collections.abc import Sequence

from torch import nn

from lightning_modules.parts.injection import peft_plan
from lightning_modules.parts.low_rank import LowRank
from lightning_modules.types import Plan


class RsloraStrategy:
    """W x becomes W x + (alpha / sqrt(r)) B A dropout(x), with A (r, in) and B (out, r) trained and W frozen.

    Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA": with LoRA's alpha / r, outputs
    and gradients vanish as r grows; alpha / sqrt(r) keeps their size, so that a larger rank is of use. By peft. B
    starts at zero, so step 0 is the pretrained model exactly. At equal r this is LoRA with alpha times sqrt(r): the
    default gives r = 8 a scale of 5.7 where LoRA's default gives 2.

    r: rank, >= 1. alpha: scale, > 0. dropout: on the input of A. targets: roles (see `parts.families`) or regular
    expressions for the last parts of a module's name; ValueError for one that matches no linear module.
    """

    def __init__(
        self, r: int = 8, alpha: float = 16.0, dropout: float = 0.0, targets: Sequence[str] = ("query", "value")
    ) -> None:
        self.low_rank = LowRank("RsloraStrategy", r, alpha, dropout, targets)

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return peft_plan(self.low_rank.config(pretrained, use_rslora=True), pretrained)
