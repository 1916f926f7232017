"""Train the entrywise product of two low-rank matrices as a correction."""

from collections.abc import Sequence

from peft import LoHaConfig
from torch import nn

from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.parts.low_rank import require_scale
from lightning_modules.types import Plan


class LohaStrategy:
    """W becomes W + (alpha / r) (B1 A1) * (B2 A2), entry by entry, with all four factors trained and W frozen.

    Hyeon-Woo et al. 2022, "FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated Learning",
    proposition 1: the product of two matrices of rank r has a rank of up to r^2. As a correction of a pretrained matrix
    it is LoHa of Yeh et al. 2024, "Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model
    Evaluation". By peft. A2 starts at zero, so step 0 is the pretrained model exactly. There is no dropout on the
    input; peft's on rows of the correction and on whole matrices is left out.

    r: rank of each of the two, >= 1: as many numbers as LoRA of rank 2 r. alpha: scale, > 0. targets: roles (see
    `parts.families`) or regular expressions for the last parts of a module's name; ValueError for one that matches no
    `nn.Linear`, such as those of GPT-2.
    """

    def __init__(self, r: int = 4, alpha: float = 8.0, targets: Sequence[str] = ("query", "value")) -> None:
        require_scale("LohaStrategy", r, alpha)
        self.r, self.alpha, self.targets = r, alpha, targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("LohaStrategy", self.targets, pretrained, kinds=(nn.Linear,))
        return peft_plan(LoHaConfig(r=self.r, alpha=self.alpha, target_modules=where), pretrained)
