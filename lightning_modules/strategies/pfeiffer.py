"""Train a small bottleneck network in each layer."""

from collections.abc import Sequence

from torch import nn

from lightning_modules.parts.bottleneck import BottleneckConfig
from lightning_modules.parts.bottleneck_networks import Activation
from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.types import Plan


class PfeifferStrategy:
    """One bottleneck adapter a layer, after the feed-forward block: h becomes h + W_up f(W_down h + b_down) + b_up.

    Pfeiffer et al. 2021, "AdapterFusion": one adapter a layer, after the feed-forward sub-layer only, half of those of
    Houlsby et al. 2019. In the notation of He et al. 2022, "Towards a Unified View of Parameter-Efficient
    Transfer Learning" (section 2.2): a sequential adapter at the feed-forward block, without scale.

    Departures. Ours reads and corrects the output h of the feed-forward output projection, before dropout, residual
    and norm (where Houlsby et al. put it); the released Pfeiffer adapter reads the norm of h plus the residual, and
    adds its output to h before the same norm. The up-projection starts at zero, so step 0 is the pretrained model
    exactly; theirs starts near it. Layer norms stay frozen.

    reduction: the bottleneck is the layer's width / reduction, rounded down; ValueError where that is below 1.
    activation: f. targets: roles of linear modules (see `parts.families`), or patterns for the last parts of their
    names; each must match one.
    """

    def __init__(
        self,
        reduction: int = 16,
        activation: Activation = "relu",
        targets: Sequence[str] = ("feed_forward_output",),
    ) -> None:
        if reduction < 1:
            raise ValueError(f"PfeifferStrategy reduction={reduction} must be at least 1")
        self.reduction = reduction
        self.activation = activation
        self.targets = targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("pfeiffer", self.targets, pretrained)
        config = BottleneckConfig(target_modules=where, reduction=self.reduction, activation=self.activation)
        return peft_plan(config, pretrained)
