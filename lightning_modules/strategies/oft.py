"""Train rotations of what enters some weight matrices."""

import math
from collections.abc import Sequence

from peft import OFTConfig
from torch import nn

from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.parts.low_rank import matched
from lightning_modules.types import Plan


class OftStrategy:
    """W becomes W R', with R orthogonal, block by block R_i = (I - Q_i) (I + Q_i)^-1; the skew Q_i train, W is frozen.

    Qiu et al. 2023, "Controlling Text-to-Image Diffusion by Orthogonal Finetuning": the angles between
    neurons stay. By peft, with the exact Cayley transform (its default cuts the Neumann series of the inverse and is
    orthogonal only nearly), whose Q has the opposite sign of the paper's. Q starts at zero, so R = I and step 0 is the
    pretrained model exactly. The bound on the distance from I (COFT) is left out; peft 0.21.2 has a setting for dropout
    of blocks that it never applies.

    block_size: inputs that are rotated together, >= 2; it must divide the width of what enters each target, else
    ValueError names what does. Parameters a target: in * (block_size - 1) / 2. targets: roles (see `parts.families`) or
    regular expressions for the last parts of a module's name; ValueError for one that matches no `nn.Linear`, such as
    those of GPT-2.
    """

    def __init__(self, block_size: int = 16, targets: Sequence[str] = ("query", "value")) -> None:
        if block_size < 2:
            raise ValueError(f"OftStrategy block_size={block_size} rotates nothing: give at least 2")
        self.block_size, self.targets = block_size, targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("OftStrategy", self.targets, pretrained, kinds=(nn.Linear,))
        self._require_divisor(where, pretrained)
        config = OFTConfig(oft_block_size=self.block_size, use_cayley_neumann=False, target_modules=where)
        return peft_plan(config, pretrained)

    def _require_divisor(self, where: str, model: nn.Module) -> None:
        targets = matched(where, model).values()
        widths = sorted({module.in_features for module in targets if isinstance(module, nn.Linear)})
        common = math.gcd(*widths)
        if common % self.block_size:
            valid = ", ".join(str(size) for size in range(2, common + 1) if common % size == 0) or "none"
            raise ValueError(
                f"OftStrategy block_size={self.block_size} does not divide {', '.join(map(str, widths))}, the width of "
                f"what enters its targets in {type(model).__name__}: valid are {valid}"
            )
