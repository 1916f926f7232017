"""Train a low-rank correction of some weight matrices."""

from collections.abc import Sequence

from peft import LoraConfig
from torch import nn

from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.types import Plan


class LoraStrategy:
    """W x becomes W x + (alpha / r) B A dropout(x), with A (r, in) and B (out, r) trained and W frozen.

    Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1; by peft. B starts at zero, so
    step 0 is the pretrained model exactly. Default targets are the paper's, query and value.

    r: rank, >= 1. alpha: scale, > 0; alpha / r multiplies the correction. dropout: on the input of A. targets:
    patterns, regular expressions for the last parts of a module's name, such as query or output.dense. Raises
    ValueError for a pattern that matches no linear module, naming those there are.
    """

    def __init__(
        self, r: int = 8, alpha: float = 16.0, dropout: float = 0.0, targets: Sequence[str] = ("query", "value")
    ) -> None:
        if r < 1 or alpha <= 0.0:
            raise ValueError(f"LoraStrategy needs r >= 1 and alpha > 0, not r={r}, alpha={alpha}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"LoraStrategy dropout={dropout} lies outside [0, 1)")
        self.r = r
        self.alpha = alpha
        self.dropout = dropout
        self.targets = targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("LoRA", self.targets, pretrained)
        config = LoraConfig(r=self.r, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=where)
        return peft_plan(config, pretrained)
