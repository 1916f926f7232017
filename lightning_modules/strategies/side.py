"""Train a narrow transformer beside the language model."""

from torch import nn

from lightning_modules.parts.ladder import SideConfig
from lightning_modules.parts.reading_tuner import reading_plan
from lightning_modules.parts.tapped import every_tap
from lightning_modules.types import Plan


class SideStrategy:
    """The model is frozen; a side network reads what its layers say of each token and corrects what the last one says.

    Sung et al. 2022, "LST"; equations and departures: see `parts.ladder.Ladder`. Gradients pass through no layer of the
    model, so what it says at the taps is computed once and kept (`frozen_states`): (number of taps) * width * 4 bytes
    of disk for each token. Step 0 is the pretrained model exactly.

    reduction: the side network's width is the model's / reduction. heads: of its attention; they divide that width, and
    kernels for packed texts on a GPU want heads whose size is a multiple of 8 (MiniLM: 384 / 8 / 2 = 24). every: 1
    reads each layer, 2 every other one from the last down, ...; the embeddings always. Fewer layers save disk and time;
    the authors' scripts drop a quarter, half or three quarters of the side layers. temperature: of the gates, theirs is
    0.1. dropout: within the side layers. Raises ValueError for a model that is not known layer by layer, and for heads
    that do not divide the width.
    """

    def __init__(
        self, reduction: int = 8, heads: int = 2, every: int = 2, temperature: float = 0.1, dropout: float = 0.1
    ) -> None:
        if reduction < 1 or heads < 1 or every < 1:
            raise ValueError(
                f"SideStrategy needs reduction, heads and every of at least 1, not reduction={reduction}, "
                f"heads={heads}, every={every}"
            )
        if temperature <= 0.0:
            raise ValueError(f"SideStrategy temperature={temperature} must be above 0: gates are divided by it")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"SideStrategy dropout={dropout} lies outside [0, 1)")
        self.reduction, self.heads, self.every = reduction, heads, every
        self.temperature, self.dropout = temperature, dropout

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        config = SideConfig(
            taps=every_tap("side", pretrained, layers, self.every),
            reduction=self.reduction,
            heads=self.heads,
            temperature=self.temperature,
            dropout=self.dropout,
        )
        return reading_plan(config, pretrained, identity="exact")
