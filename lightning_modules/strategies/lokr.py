"""Train the Kronecker product of a small matrix and a low-rank one as a correction."""

from collections.abc import Sequence

from peft import LoKrConfig
from torch import nn

from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.parts.low_rank import require_scale
from lightning_modules.types import Plan


class LokrStrategy:
    """W becomes W + (alpha / r) C (x) (B A), with C, A and B trained and W frozen; (x) is the Kronecker product.

    LoKr of Yeh et al. 2024, "Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation";
    Kronecker products as adapters of language models are KronA of Edalati et al. 2022. By peft: with out = o1 o2 and
    in = i1 i2, C is (o1, i1) and B A is (o2, i2) of rank r, and stands whole where r is at least half the larger of o2
    and i2. C starts at zero, so step 0 is the pretrained model exactly. There is no dropout on the input; peft's on
    rows of the correction and on whole matrices is left out.

    r: rank of the second factor, >= 1. alpha: scale, > 0. factor: o1 and i1 are this, or the nearest below that divides
    out and in; -1 makes both factors as square as can be. targets: roles (see `parts.families`) or regular expressions
    for the last parts of a module's name; ValueError for one that matches no `nn.Linear`, such as those of GPT-2.
    """

    def __init__(
        self, r: int = 8, alpha: float = 16.0, factor: int = -1, targets: Sequence[str] = ("query", "value")
    ) -> None:
        require_scale("LokrStrategy", r, alpha)
        if factor != -1 and factor < 2:
            raise ValueError(f"LokrStrategy factor={factor} splits nothing: give -1 (square) or at least 2")
        self.r, self.alpha, self.factor, self.targets = r, alpha, factor, targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("LokrStrategy", self.targets, pretrained, kinds=(nn.Linear,))
        config = LoKrConfig(r=self.r, alpha=self.alpha, decompose_factor=self.factor, target_modules=where)
        return peft_plan(config, pretrained)
