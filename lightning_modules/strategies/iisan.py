"""Train a tower of bottleneck blocks over the pooled vectors of the language model's layers."""

from torch import nn

from lightning_modules.parts.decoupled import IisanConfig
from lightning_modules.parts.reading_tuner import reading_plan
from lightning_modules.parts.tapped import every_tap
from lightning_modules.types import Plan


class IisanStrategy:
    """The model is frozen; a tower reads one vector of a text at each tap and stands in the place of the last one.

    Fu et al. 2024, "IISAN"; equations and departures: see `parts.decoupled.Tower`. All that it needs of a text is
    (number of taps) * width numbers, computed once; a step reads no text. It needs a pooling without parameters.

    reduction: a block's bottleneck is the model's width / reduction; 12 of 768 is the paper's 64. every: 2, as theirs
    (`LayerDrop`), reads every other layer from the last down, 1 each; the embeddings always. temperature: of the gates,
    0.1 in their code. Raises ValueError for a model that is not known layer by layer, and where nothing is left of the
    width.
    """

    def __init__(self, reduction: int = 12, every: int = 2, temperature: float = 0.1) -> None:
        if reduction < 1 or every < 1:
            raise ValueError(
                f"IisanStrategy needs reduction and every of at least 1, not reduction={reduction}, every={every}"
            )
        if temperature <= 0.0:
            raise ValueError(f"IisanStrategy temperature={temperature} must be above 0: gates are divided by it")
        self.reduction, self.every, self.temperature = reduction, every, temperature

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        taps = every_tap("iisan", pretrained, layers, self.every)
        config = IisanConfig(taps=taps, reduction=self.reduction, temperature=self.temperature)
        return reading_plan(config, pretrained, identity="none")
