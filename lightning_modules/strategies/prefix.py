"""Train keys and values that each layer finds before those of a text."""

import torch
from peft import PrefixTuningConfig
from torch import nn

from lightning_modules.parts.prompt_learning import at_least, prefix_sizes, virtual_plan
from lightning_modules.parts.virtual_tokens import prefixes
from lightning_modules.types import Plan

START = 0.02
"""Standard deviation of keys and values at the start. Zero would leave all virtual tokens alike forever, since their
gradients are."""


class PrefixStrategy:
    """In every layer softmax(Q K') V becomes softmax(Q [P_k; K]') [P_v; V], with P_k and P_v (virtual_tokens, size of
    a head) of each layer and head trained and all else frozen.

    Li & Liang 2021, "Prefix-Tuning: Optimizing Continuous Prompts for Generation", section 4.2, in the notation of He
    et al. 2022, "Towards a Unified View", section 2.2; by peft. With `projection` P is made by a network, P = W2
    tanh(W1 e + b1) + b2 of trained vectors e (section 4.3), of which only P is saved. The prefix takes the places
    before a text: its absolute positions and rotary angles begin behind them, and a window of attention and T5's bias
    on distances count them, as in peft where peft can.

    Departures. By default there is no network: for MiniLM it has a hundred times the parameters of P. Keys and values
    then start near zero: with 5 tokens the vectors of MiniLM have a cosine of 0.91 with the pretrained model's own,
    0.81 from peft's N(0, 1), 0.82 from what the layers say of random words (the paper starts from words, section 7.4).
    The identity is `none` all the same, since a key of zero takes its part of the softmax, and above all since
    positions move: without that the cosine would be 0.997. T5 gets its prefix in the encoder.

    virtual_tokens: rows of P, at least 1. projection: width of the network, 0 for none. Raises ValueError for a model
    that is not read layer by layer.
    """

    def __init__(self, virtual_tokens: int = 5, projection: int = 0) -> None:
        self.virtual_tokens = at_least(1, virtual_tokens, "PrefixStrategy", "virtual_tokens")
        self.projection = at_least(0, projection, "PrefixStrategy", "projection")

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        config = PrefixTuningConfig(
            num_virtual_tokens=self.virtual_tokens,
            prefix_projection=self.projection > 0,
            encoder_hidden_size=max(self.projection, 1),
            **prefix_sizes("PrefixStrategy", pretrained, layers),
        )
        plan = virtual_plan(config, pretrained)
        if not self.projection:
            with torch.no_grad():
                for prefix in prefixes(pretrained):
                    prefix.encoder.embedding.weight.mul_(START)
        return plan
