"""Train two small bottleneck networks in each layer."""

from collections.abc import Sequence

from torch import nn

from lightning_modules.parts.bottleneck import BottleneckConfig
from lightning_modules.parts.bottleneck_networks import Activation
from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.types import Plan


class HoulsbyStrategy:
    """Two bottleneck adapters a layer, after attention and after the feed-forward block: h becomes
    h + W_up f(W_down h + b_down) + b_up.

    Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", section 2.1 and figure 2: h is what the output
    projection of a block says, before residual and norm; f is gelu in their released code.

    Departures. Their adapters read h after the model's dropout, ours before it. Their weights start near zero, drawn
    from a normal distribution; ours are zero in the up-projection alone, so step 0 is the pretrained model exactly.
    They train all layer norms too; ours stay frozen.

    reduction: the bottleneck is the layer's width / reduction, rounded down; ValueError where that is below 1. 16 is 64
    of BERT-large's 1024 features, the middle one of their 8, 64 and 256. activation: f. targets: roles of linear
    modules (see `parts.families`), or patterns for the last parts of their names; each must match one.
    """

    def __init__(
        self,
        reduction: int = 16,
        activation: Activation = "gelu",
        targets: Sequence[str] = ("attention_output", "feed_forward_output"),
    ) -> None:
        if reduction < 1:
            raise ValueError(f"HoulsbyStrategy reduction={reduction} must be at least 1")
        self.reduction = reduction
        self.activation = activation
        self.targets = targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("houlsby", self.targets, pretrained)
        config = BottleneckConfig(target_modules=where, reduction=self.reduction, activation=self.activation)
        return peft_plan(config, pretrained)
