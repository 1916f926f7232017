"""Train two vectors a matrix, which scale random matrices that all of them share."""

from collections.abc import Sequence
from typing import Any

from peft import VeraConfig
from peft.tuners.vera import VeraLayer
from torch import nn

from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.parts.low_rank import require_dropout, stored_transposed
from lightning_modules.types import Plan


class VeraStrategy:
    """W x becomes W x + b * (B (d * (A dropout(x)))), with vectors b (out) and d (r) trained and W, A, B frozen.

    Kopiczko et al. 2024, "VeRA: Vector-based Random Matrix Adaptation", equation 2. A and B are random, drawn from
    `seed` and shared by all targets; by peft, which for targets of unequal shape takes the upper left corner of
    matrices as large as the largest, and draws them uniformly with He's deviation. Every build draws the same bits, so
    a checkpoint leaves them out and vouches for them by its digest, as for all that is frozen; a folder saved with peft
    holds them. b starts at zero, so step 0 is the pretrained model exactly; d starts at d_initial.

    r: rank, >= 1; much larger than LoRA's, since it costs a number each. seed: of A and B, the same for every seed of
    the run, as peft has it. dropout: on the input of A. targets: roles (see `parts.families`) or regular expressions
    for the last parts of a module's name; ValueError for one that matches no linear module.
    """

    def __init__(
        self,
        r: int = 256,
        d_initial: float = 0.1,
        seed: int = 0,
        dropout: float = 0.0,
        targets: Sequence[str] = ("query", "value"),
    ) -> None:
        if r < 1 or d_initial == 0.0:
            raise ValueError(f"VeraStrategy needs r >= 1 and d_initial other than 0, not r={r}, d_initial={d_initial}")
        require_dropout("VeraStrategy", dropout)
        self.r, self.d_initial, self.seed, self.dropout, self.targets = r, d_initial, seed, dropout, targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("VeraStrategy", self.targets, pretrained)
        config = VeraConfig(
            r=self.r,
            d_initial=self.d_initial,
            projection_prng_key=self.seed,
            vera_dropout=self.dropout,
            target_modules=where,
            fan_in_fan_out=stored_transposed(where, pretrained),
        )
        plan = peft_plan(config, pretrained)
        _freeze(plan.adapter)
        return plan


def _freeze(adapter: Any) -> None:
    """Hold A and B as parameters that do not train; peft has buffers, which are what changes unseen and has to be kept.
    All layers and peft's tuner hold the same two."""
    tuner = adapter.base_model
    holders = [tuner, *(part for part in adapter.modules() if isinstance(part, VeraLayer))]
    for name in ("vera_A", "vera_B"):
        drawn = {key: nn.Parameter(matrix, requires_grad=False) for key, matrix in getattr(tuner, name).items()}
        frozen = nn.ParameterDict(drawn)
        for holder in holders:
            setattr(holder, name, frozen)
