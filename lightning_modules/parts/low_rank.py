"""What corrections of weight matrices share: their ranges, what peft has to know of the matrices, the principal part of
one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from peft import LoraConfig
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lightning_modules.parts.injection import target_regex


@dataclass(frozen=True)
class LowRank:
    """B A of rank r, times a scale that grows with alpha, on the input after dropout, beside each target.

    Raises ValueError, naming the strategy, for r < 1, alpha <= 0 or dropout outside [0, 1).
    """

    strategy: str
    r: int
    alpha: float
    dropout: float
    targets: Sequence[str]

    def __post_init__(self) -> None:
        require_scale(self.strategy, self.r, self.alpha)
        require_dropout(self.strategy, self.dropout)

    def config(self, model: nn.Module, **variant: Any) -> LoraConfig:
        """peft's LoRA of the targets that the model has, in the variant that is asked for."""
        where = target_regex(self.strategy, self.targets, model)
        return LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=where,
            fan_in_fan_out=stored_transposed(where, model),
            **variant,
        )


def require_scale(strategy: str, r: int, alpha: float) -> None:
    """Raise ValueError unless there is a rank and a scale."""
    if r < 1 or alpha <= 0.0:
        raise ValueError(f"{strategy} needs r >= 1 and alpha > 0, not r={r}, alpha={alpha}")


def require_dropout(strategy: str, dropout: float) -> None:
    """Raise ValueError unless it is a share that leaves something."""
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"{strategy} dropout={dropout} lies outside [0, 1)")


def matched(where: str, model: nn.Module) -> dict[str, nn.Module]:
    """The modules, by name, that peft changes where its `target_modules` is this expression."""
    return {name: module for name, module in model.named_modules() if re.fullmatch(where, name)}


def stored_transposed(where: str, model: nn.Module) -> bool:
    """Whether the matrices are GPT-2's, which stand as (in, out); peft warns unless it is told."""
    return any(isinstance(module, Conv1D) for module in matched(where, model).values())


def principal_part(
    weight: Float[Tensor, "O I"], r: int, scale: float
) -> tuple[Float[Tensor, "r I"], Float[Tensor, "O r"], Float[Tensor, "O I"]]:
    """A, B and the rest W - scale * B A, where scale * B A is the part of W of its r largest singular values.

    In double precision, with the largest entry of each right singular vector made positive and the products summed one
    after the other: in single precision the last bits of a decomposition depend on the number of threads, and the rest
    is frozen, so a checkpoint must find the same bits in every build.
    """
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    left, values, right = left[:, :r], values[:r], right[:r]
    signs = right.gather(1, right.abs().argmax(1, keepdim=True)).sign()
    root = (values / scale).sqrt()
    down, up = (signs * root[:, None] * right).to(weight.dtype), (left * signs[:, 0] * root).to(weight.dtype)
    rest = weight.double()
    for index in range(len(values)):
        rest = rest - scale * up[:, index, None].double() * down[index].double()
    return down, up, rest.to(weight.dtype)
