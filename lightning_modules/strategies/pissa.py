"""Train the principal part of some weight matrices and leave the rest."""

from collections.abc import Sequence
from typing import cast

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lightning_modules.parts.injection import peft_plan
from lightning_modules.parts.low_rank import LowRank, matched, principal_part
from lightning_modules.types import Plan


class PissaStrategy:
    """W = (alpha / r) B A + rest; A and B train from the r largest singular values of W, the rest is frozen.

    Meng et al. 2024, "PiSSA: Principal Singular Values and Singular Vectors Adaptation": with W = U S V',
    A = sqrt(S_r) V_r', B = U_r sqrt(S_r), rest = W - B A; where alpha / r is not one, both are divided by its root.
    Nothing is added, so step 0 is the pretrained model up to rounding. LoRA's modules of peft hold A and B.

    Departure: the decomposition is made here, in double precision (see `principal_part`). peft makes it in single
    precision, where the frozen rest gets other bits with another number of threads, and a checkpoint, which holds A and
    B alone, would then be refused. Ours gives the same bits by one linear-algebra library; by another a few entries may
    round otherwise, and the checkpoint is refused there. A folder saved with peft opens everywhere with peft, which
    makes the rest anew, equal up to rounding.

    r: rank, >= 1; ValueError where a matrix has no such rank. alpha: > 0; one scale cancels in the start, and changes
    the steps alone: the paper has alpha = r. dropout: on the input of A, the principal part's; the paper has none.
    targets: roles (see `parts.families`) or regular expressions for the last parts of a module's name; ValueError for
    one that matches no linear module.
    """

    def __init__(
        self, r: int = 8, alpha: float = 8.0, dropout: float = 0.0, targets: Sequence[str] = ("query", "value")
    ) -> None:
        self.low_rank = LowRank("PissaStrategy", r, alpha, dropout, targets)

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        config = self.low_rank.config(pretrained)
        for name, module in matched(config.target_modules, pretrained).items():
            _require_rank(self.low_rank.r, name, module, pretrained)
        plan = peft_plan(config, pretrained, identity="numeric")
        for module in pretrained.modules():
            if isinstance(module, LoraLayer):
                _split(module, self.low_rank.r)
        config.init_lora_weights = "pissa"  # for whoever opens the folder that peft saves
        return plan


def _require_rank(r: int, name: str, module: nn.Module, model: nn.Module) -> None:
    smaller = min(cast(Tensor, module.weight).shape)
    if r > smaller:
        raise ValueError(
            f"PissaStrategy r={r}, but {name} of {type(model).__name__} has {smaller} singular values: lower r"
        )


@torch.no_grad()
def _split(layer: LoraLayer, r: int) -> None:
    """Move the principal part of a wrapped matrix into its A and B."""
    base, name = layer.get_base_layer(), layer.active_adapters[0]
    turned = isinstance(base, Conv1D)
    weight = base.weight.T if turned else base.weight
    down, up, rest = principal_part(weight, r, layer.scaling[name])
    layer.lora_A[name].weight.copy_(down)
    layer.lora_B[name].weight.copy_(up)
    base.weight.copy_(rest.T if turned else rest)
