"""Train the last layers only."""

from torch import nn

from lightning_modules.parts.layer_order import top_layers
from lightning_modules.types import Plan


class TopKStrategy:
    """The k layers nearest the output train; embeddings and the layers below stay frozen and without dropout.

    The usual "freeze the lower layers" (Lee et al. 2019, "What Would Elsa Do?", who find that a quarter of the layers
    is enough for most of the quality). The norm that GPT-2, Llama, T5 and ModernBERT have behind their last layer stays
    frozen too, so that what lies below the trained layers can be kept. Raises ValueError where the model has fewer than
    k layers; a model that is not known layer by layer counts as one.
    """

    def __init__(self, k: int = 2) -> None:
        if k < 1:
            raise ValueError(f"TopKStrategy k={k} trains no layer: give at least 1, or use strategy=frozen")
        self.k = k

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return Plan(identity="exact", trains=top_layers("TopKStrategy", self.k, pretrained, layers).__contains__)
