"""Train everything, each layer more slowly than the one above it."""

from torch import nn

from lightning_modules.parts.layer_order import distances
from lightning_modules.types import Plan


class FullLlrdStrategy:
    """All parameters train; a layer's learning rate is the top layer's times decay^(layers above it).

    Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?": eta^(l-1) = xi eta^l; the
    discriminative fine-tuning of Howard & Ruder 2018 (section 3.2), whose factor is 1 / 2.6. The top layer, and a last
    norm after it, have the whole rate; the embeddings, in front of layer 0, have decay^(number of layers). T5's table
    of biases on distances counts with layer 0, in which it stands.

    decay: in (0, 1); one would be strategy=full. Raises ValueError for a model that is not known layer by layer.
    """

    def __init__(self, decay: float = 0.95) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"FullLlrdStrategy decay={decay} lies outside (0, 1): for 1 use strategy=full")
        self.decay = decay

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        above = distances("FullLlrdStrategy", pretrained, layers)
        scale = {name: self.decay**distance for name, distance in above.items()}
        return Plan(identity="exact", trains=scale.__contains__, lr_scale=scale.__getitem__)
