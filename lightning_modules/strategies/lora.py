"""Train a low-rank correction of some weight matrices."""

from collections.abc import Sequence

from torch import nn

from lightning_modules.parts.injection import peft_plan
from lightning_modules.parts.low_rank import LowRank
from lightning_modules.types import Plan


class LoraStrategy:
    """W x becomes W x + (alpha / r) B A dropout(x), with A (r, in) and B (out, r) trained and W frozen.

    Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1; by peft. B starts at zero, so
    step 0 is the pretrained model exactly. Default targets are the paper's, query and value; where a family keeps
    query, key and value in one matrix (GPT-2, ModernBERT), the correction is one of that matrix, keys included.

    r: rank, >= 1. alpha: scale, > 0; alpha / r multiplies the correction. dropout: on the input of A. targets: roles
    (see `parts.families`) or regular expressions for the last parts of a module's name, such as output.dense. Raises
    ValueError for a target that matches no linear module, naming those there are.
    """

    def __init__(
        self, r: int = 8, alpha: float = 16.0, dropout: float = 0.0, targets: Sequence[str] = ("query", "value")
    ) -> None:
        self.low_rank = LowRank("LoraStrategy", r, alpha, dropout, targets)

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return peft_plan(self.low_rank.config(pretrained), pretrained)
