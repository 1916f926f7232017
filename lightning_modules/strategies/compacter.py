"""Train bottleneck networks whose matrices are sums of Kronecker products with common factors."""

from collections.abc import Sequence

from torch import nn

from lightning_modules.parts.bottleneck import BottleneckConfig
from lightning_modules.parts.bottleneck_networks import Activation
from lightning_modules.parts.injection import peft_plan, target_regex
from lightning_modules.types import Plan


class CompacterStrategy:
    """Two bottleneck adapters a layer, as Houlsby's, with matrices W = sum_i A_i kron (s_i t_i), i = 1 .. n.

    Karimi Mahabadi et al. 2021, "Compacter: Efficient Low-Rank Hypercomplex Adapter Layers". The A_i (n, n) are one
    set for all matrices of all adapters ("slow weights"); s_i (out / n, rank) and t_i (rank, in / n) are each
    matrix's own ("fast weights"). With rank 1 a matrix has out + in parameters of its own instead of out * in, beside
    its bias.

    Departures. t of the up-projections starts at zero, so step 0 is the pretrained model exactly; theirs starts near
    it, with all A_i nearly zero (ours have variance 1 / n) and s, t after Glorot (as here). Their adapters read what
    leaves a block after dropout, ours before it. They train the layer norms too; ours stay frozen.

    terms: n, which has to divide the width and the bottleneck; ValueError that names what fits. rank: of s_i t_i.
    reduction: the bottleneck is the layer's width / reduction, rounded down. 8 is 48 of MiniLM's 384; their
    released configuration has 24 of T5-base's 768. activation: f. targets: roles of linear modules (see
    `parts.families`), or patterns for the last parts of their names; each must match one.
    """

    def __init__(
        self,
        reduction: int = 8,
        terms: int = 4,
        rank: int = 1,
        activation: Activation = "gelu",
        targets: Sequence[str] = ("attention_output", "feed_forward_output"),
    ) -> None:
        if min(reduction, terms, rank) < 1:
            raise ValueError(
                f"CompacterStrategy reduction={reduction}, terms={terms}, rank={rank} must each be at least 1"
            )
        self.reduction = reduction
        self.network = {"kind": "hypercomplex", "terms": terms, "rank": rank}
        self.activation = activation
        self.targets = targets

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        where = target_regex("compacter", self.targets, pretrained)
        config = BottleneckConfig(
            target_modules=where, network=self.network, reduction=self.reduction, activation=self.activation
        )
        return peft_plan(config, pretrained)
