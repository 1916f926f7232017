"""An addend to the score that depends on the item alone.

Text heads have no item bias and id heads do, so a comparison states which prior every row carries.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

PriorName = Literal["none", "popularity", "learned"]


class NoPrior(nn.Module):
    """Zero for every item."""

    def forward(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]:
        return torch.zeros(len(ids), device=ids.device)


class PopularityPrior(nn.Module):
    """A learned multiple, at first 0, of log((count + 1) / (total + N)), counted in training."""

    log_share: Tensor

    def __init__(self, item_counts: Int[Tensor, " N"]) -> None:
        super().__init__()
        share = (item_counts + 1).double() / (item_counts + 1).sum()
        self.register_buffer("log_share", share.log().float())
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]:
        return self.scale * self.log_share[ids]


class LearnedPrior(nn.Module):
    """One free number per item, at first 0."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_items))

    def forward(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]:
        return self.bias[ids]


def make_prior(name: PriorName, item_counts: Int[Tensor, " N"]) -> nn.Module:
    """The prior of that name; raises `ValueError` for another word."""
    if name == "none":
        return NoPrior()
    if name == "popularity":
        return PopularityPrior(item_counts)
    if name == "learned":
        return LearnedPrior(len(item_counts))
    raise ValueError(f"prior is '{name}'; it is one of none, popularity, learned")
