"""A learned temperature (Radford et al. 2021, CLIP, section 2.5): logarithm trained, scale bounded."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

LARGEST_SCALE = 100.0


class Temperature(nn.Module):
    """Divides scores by a learned positive number, at first `initial`, never below 0.01.

    The bound passes the gradient on as if it were not there; a clamp's gradient is zero, and a temperature that once
    came to its bound would stay there.
    """

    def __init__(self, initial: float = 0.07) -> None:
        super().__init__()
        if initial < 1 / LARGEST_SCALE:
            raise ValueError(f"temperature is {initial}; the smallest is {1 / LARGEST_SCALE}")
        self.log_scale = nn.Parameter(torch.tensor(-math.log(initial)))

    def forward(self, scores: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        scale = self.log_scale.exp()
        return scores * (scale.detach().clamp(max=LARGEST_SCALE) + (scale - scale.detach()))
