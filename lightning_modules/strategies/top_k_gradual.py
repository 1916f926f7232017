"""Train the last layers only, and let them join one after the other."""

from torch import nn

from lightning_modules.parts.layer_order import top_layers
from lightning_modules.types import Plan


class TopKGradualStrategy:
    """The top layer trains from the start; one layer more joins after each k-th of all steps, until k of them train.

    Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), section 3.3, gradual
    unfreezing: the i-th layer below the top stays bit for bit for the first i / k of the steps. Departures: theirs adds
    a layer each epoch, down to the embeddings, which stay frozen here; their rates that fall from layer to layer are
    strategy=full_llrd. A layer that waits has its dropout already; its gradients are computed and thrown away.

    k: layers in the end, >= 2; with one nothing would join. Raises ValueError where the model has fewer.
    """

    def __init__(self, k: int = 2) -> None:
        if k < 2:
            raise ValueError(f"TopKGradualStrategy k={k} has no layer to add: give at least 2, or use strategy=top_k")
        self.k = k

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        above = top_layers("TopKGradualStrategy", self.k, pretrained, layers)
        starts = {name: distance / self.k for name, distance in above.items()}
        return Plan(identity="exact", trains=starts.__contains__, starts=starts.__getitem__)
