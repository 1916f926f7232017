"""peft's allocator of AdaLoRA's ranks, driven by shares of a run, and what of it a checkpoint has to hold."""

from typing import Any

import torch
from jaxtyping import Float
from peft.tuners.adalora import AdaLoraConfig, AdaLoraModel
from torch import Tensor

from lightning_modules.parts.full_precision import full_precision


class RankSchedule:
    """After each step: update the importances, and zero the singular values that the budget does not cover.

    warmup: share of all steps with the whole budget. final: share of the steps, at the end, with ranks that stay.
    Averages of the importances, and which singular values are kept, are what the next step builds upon.
    """

    def __init__(self, tuner: AdaLoraModel, warmup: float, final: float) -> None:
        self.tuner, self.warmup, self.final = tuner, warmup, final
        self.config: AdaLoraConfig = tuner.peft_config[tuner.trainable_adapter_name]

    def after_step(self, made: int, total: int) -> None:
        """Gradients of the step must still be there."""
        config, allocator = self.config, self.tuner.rankallocator
        config.total_step = total
        config.tinit, config.tfinal = int(self.warmup * total), int(self.final * total)
        self._prepare()
        if made == total - config.tfinal and not allocator.exp_avg_ipt:
            allocator.update_ipt(self.tuner.model)  # a run so short that peft allocates before it has measured
        self.tuner.update_and_allocate(made)

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors, by parameter name."""
        allocator = self.tuner.rankallocator
        return {
            "importance": dict(allocator.exp_avg_ipt),
            "uncertainty": dict(allocator.exp_avg_unc),
            "rank_pattern": self.config.rank_pattern,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of `state_dict`."""
        allocator = self.tuner.rankallocator
        allocator.exp_avg_ipt, allocator.exp_avg_unc = dict(state["importance"]), dict(state["uncertainty"])
        allocator.ipt = dict(allocator.exp_avg_ipt)  # made anew in each step, but peft looks whether it is there
        self.config.rank_pattern = state["rank_pattern"]

    def _prepare(self) -> None:
        """Averages that were loaded lie where the checkpoint was read to; the model moves to its device later. Where
        float16 overflows the optimizer skips a step, and one infinite gradient would stay in the averages for ever."""
        allocator = self.tuner.rankallocator
        for name, parameter in self.tuner.model.named_parameters():
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
            for averages in (allocator.exp_avg_ipt, allocator.exp_avg_unc):
                if name in averages:
                    averages[name] = averages[name].to(parameter.device)


def orthogonality(tuner: AdaLoraModel) -> Float[Tensor, ""]:
    """Mean of ||A A' - I|| over all A and of ||B' B - I|| over all B (Frobenius), with peft's weight."""
    adapter = tuner.trainable_adapter_name
    weight: float = tuner.peft_config[adapter].orth_reg_weight
    named = list(tuner.model.named_parameters())
    rows = [p for name, p in named if f"lora_A.{adapter}" in name]
    rows += [p.T for name, p in named if f"lora_B.{adapter}" in name]
    with full_precision(rows[0].device):
        return weight * torch.stack([_gap(each @ each.T) for each in rows]).mean()


def _gap(gram: Float[Tensor, "r r"]) -> Float[Tensor, ""]:
    return torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device, dtype=gram.dtype))
