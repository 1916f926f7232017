"""Train a small bottleneck network beside the feed-forward block of each layer."""

from torch import nn

from lightning_modules.parts.bottleneck import BottleneckConfig
from lightning_modules.parts.bottleneck_networks import Activation
from lightning_modules.parts.families import FEED_FORWARD, pattern_of
from lightning_modules.parts.injection import ending, peft_plan
from lightning_modules.types import Plan


class ParallelStrategy:
    """The scaled parallel adapter: a feed-forward block that turns x into FFN(x) gives
    FFN(x) + s (W_up f(W_down x + b_down) + b_up).

    He et al. 2022, "Towards a Unified View of Parameter-Efficient Transfer Learning", sections 3.3 and 4.3 to 4.5:
    beside the block rather than behind it, at the feed-forward block rather than at attention, and scaled. s is a
    number that one chooses: they also tried to learn it, which was no better. Their released scripts have s = 4 for
    summarisation and s = 2 for GLUE. As in their code, which starts it like LoRA, the up-projection is zero at first,
    so step 0 is the pretrained model exactly. x is what the block reads: normalised already where norms come first
    (GPT-2, Llama, T5, ModernBERT).

    Departures. What dropout a model has on FFN(x) lies before the sum where it is the block's own, and after it in T5.

    reduction: the bottleneck is the layer's width / reduction, rounded down; ValueError where that is below 1. They use
    16 features of RoBERTa-base's 768 for GLUE and 512 of BART-large's 1024. activation: f. scale: s > 0. Raises
    ValueError for a model of a family of which it is not known where the feed-forward block is.
    """

    def __init__(self, reduction: int = 16, activation: Activation = "relu", scale: float = 4.0) -> None:
        if reduction < 1 or scale <= 0.0:
            raise ValueError(f"ParallelStrategy needs reduction >= 1 and scale > 0, not {reduction} and {scale}")
        self.reduction = reduction
        self.activation = activation
        self.scale = scale

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        config = BottleneckConfig(
            target_modules=ending(pattern_of(FEED_FORWARD, "strategy=parallel", pretrained)),
            placement="parallel",
            reduction=self.reduction,
            activation=self.activation,
            scale=self.scale,
        )
        return peft_plan(config, pretrained)
