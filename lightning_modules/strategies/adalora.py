"""Train low-rank corrections whose ranks are shared out in training, to the matrices where they matter."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from peft import AdaLoraConfig
from peft.tuners.adalora import AdaLoraModel
from torch import nn

from lightning_modules.parts.adalora_memory import RankSchedule, orthogonality
from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.parts.low_rank import require_dropout, require_scale, stored_transposed
from lightning_modules.types import Plan


class AdaloraStrategy:
    """W x becomes W x + (alpha / initial_r) B diag(e) A dropout(x), where only the important of the values e stay.

    Zhang et al. 2023, "Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning" (AdaLoRA), by peft. Each matrix
    starts with rank initial_r; after a warm-up the sum of all ranks falls, by a cubic schedule (equation 12), to r
    times the number of matrices, and then stays. After each step the least important singular values of all matrices,
    by smoothed |weight * gradient| and its uncertainty (equations 8 to 11), become zero. The loss gains
    orthogonality times the mean of ||A A' - I|| and ||B' B - I|| over all matrices: peft's formula, where the paper's
    equation 4 squares the norms. e starts at zero, so step 0 is the pretrained model exactly.

    Departures: phases are shares of all steps, not numbers of steps; ranks are allocated after every step (the paper's
    Delta_T = 1), so that what peft saves, without the singular values that fell, is the model at every moment.

    r: mean rank in the end, >= 1. initial_r: > r. alpha: scale, > 0. warmup, final: shares of all steps with the whole
    budget at first and with fixed ranks at last, >= 0 and together < 1. orthogonality: >= 0. dropout: on the input of
    A. targets: roles (see `parts.families`) or regular expressions for the last parts of a module's name; ValueError
    for one that matches no linear module.
    """

    def __init__(
        self,
        r: int = 8,
        initial_r: int = 12,
        alpha: float = 16.0,
        warmup: float = 0.1,
        final: float = 0.3,
        orthogonality: float = 0.1,
        dropout: float = 0.0,
        targets: Sequence[str] = ("query", "value"),
    ) -> None:
        require_scale("AdaloraStrategy", r, alpha)
        require_dropout("AdaloraStrategy", dropout)
        if initial_r <= r:
            raise ValueError(f"AdaloraStrategy initial_r={initial_r} leaves nothing to take away: give more than r={r}")
        if min(warmup, final) < 0.0 or warmup + final >= 1.0:
            raise ValueError(
                f"AdaloraStrategy warmup={warmup} and final={final} are shares of all steps that must leave some "
                "between them: give at least 0 each, and less than 1 together"
            )
        if orthogonality < 0.0:
            raise ValueError(f"AdaloraStrategy orthogonality={orthogonality} must not be negative")
        self.r, self.initial_r, self.alpha, self.dropout, self.targets = r, initial_r, alpha, dropout, targets
        self.warmup, self.final, self.orthogonality = warmup, final, orthogonality

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        plan = peft_plan(self._config(pretrained), pretrained)
        tuner = cast(AdaLoraModel, plan.adapter.base_model)  # type: ignore[union-attr]  # peft made one
        schedule = RankSchedule(tuner, self.warmup, self.final)
        return replace(plan, regulariser=partial(orthogonality, tuner), after_step=schedule.after_step, memory=schedule)

    def _config(self, model: nn.Module) -> AdaLoraConfig:
        """Its schedule is filled in when the length of the run is known."""
        where = target_regex("AdaloraStrategy", self.targets, model)
        return AdaLoraConfig(
            target_r=self.r,
            init_r=self.initial_r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            orth_reg_weight=self.orthogonality,
            total_step=1,
            target_modules=where,
            fan_in_fan_out=stored_transposed(where, model),
        )
