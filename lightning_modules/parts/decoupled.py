"""A tower of bottleneck blocks over pooled vectors. Importing this file makes peft know it as the method `iisan`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from peft import PeftConfig
from torch import Tensor, nn
from torch.nn.functional import gelu

from lightning_modules.parts.peft_methods import register, type_of
from lightning_modules.parts.reading_tuner import ReadingModel

NAME = "iisan"


@dataclass
class IisanConfig(PeftConfig):
    """taps: the layers whose output is read, from 0, the embeddings, to the last. pooling: how peft's forward pools
    what they say: mean, cls or last; a backbone that trains the tower sets its own. The rest: see `Tower`."""

    taps: list[int] = field(default_factory=list)
    reduction: int = field(default=12)
    temperature: float = field(default=0.1)
    pooling: str | None = field(default="mean")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = type_of(NAME)

    def build(self, width: int) -> "Tower":
        """The network for a model of that width."""
        return Tower(width, self)


class SideAdaptedBlock(nn.Module):
    """x + W_up gelu(W_down x): the paper's SANB. Weights start as normal noise of deviation 0.01, biases at zero, as in
    the released code."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        for linear in (self.down, self.up):
            nn.init.normal_(linear.weight, std=1e-2)
            nn.init.zeros_(linear.bias)

    def forward(self, vectors: Float[Tensor, "U F"]) -> Float[Tensor, "U F"]:
        return vectors + self.up(gelu(self.down(vectors)))


class Tower(nn.Module):
    """Goes up over the pooled vectors of the taps and takes in each one; its top takes the place of the last.

        b_0 = SANB_0(h_0)
        b_i = SANB_i(mu_i b_{i-1} + (1 - mu_i) h_i),   mu_i = sigmoid(alpha_i / temperature)

    Fu et al. 2024, "IISAN: Efficiently Adapting Multimodal Representation for Sequential Recommendation with Decoupled
    PEFT", section 3: the intra-modal tower of the text. h_0 are the embeddings' pooled vectors, h_N the last layer's.

    Departures. They pool by [CLS], we as the backbone does. Their linear map above the tower is left out: it is
    followed by the projection to the item's vector, and two linear maps in a row are one. There is no image here, so
    neither its tower nor the inter-modal one. Step 0 is not the pretrained model: gates start half open, so b_N is a
    mean of all taps, the upper ones counting most; a gate is a sigmoid and shuts nothing off.

    width: of the model. settings.taps: at least two, ascending. settings.reduction: a block's bottleneck is the width /
    reduction, rounded down; ValueError where that is below 1. settings.temperature: > 0.
    """

    def __init__(self, width: int, settings: IisanConfig) -> None:
        super().__init__()
        narrow = width // settings.reduction
        if narrow < 1:
            raise ValueError(
                f"iisan reduction={settings.reduction} leaves nothing of width {width}: give at most {width}"
            )
        self.width, self.settings = width, settings
        self.taps: Sequence[int] = tuple(settings.taps)
        self.blocks = nn.ModuleList(SideAdaptedBlock(width, narrow) for _ in self.taps)
        self.gates = nn.Parameter(torch.zeros(len(self.taps) - 1))

    def pooled(self, states: Float[Tensor, "U W"]) -> Float[Tensor, "U F"]:
        """From a text's vectors at the taps, side by side."""
        first, *others = states.split(self.width, dim=-1)
        vectors = self.blocks[0](first)
        kept = torch.sigmoid(self.gates / self.settings.temperature)
        for share, block, state in zip(kept, self.blocks[1:], others, strict=True):
            vectors = block(share * vectors + (1 - share) * state)
        return vectors

    def pooled_by(self, kind: str | None) -> None:
        """Say how the vectors were pooled that it reads, so that the saved folder does the same."""
        self.settings.pooling = kind


register(NAME, IisanConfig, ReadingModel)
