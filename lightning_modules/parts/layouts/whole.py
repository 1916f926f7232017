"""A model of a family that is not known: in one piece."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from lightning_modules.parts.layouts.layout import UNBOUNDED
from lightning_modules.parts.runs import Run, rectangles


class WholeLayout:
    """Its token embeddings, then the whole model as one layer, once for each length of text.

    Strategies work on it, but cannot tell its layers apart: whatever trains, all of it runs in training mode.
    """

    packs = False

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layers: list[nn.Module] = [model]
        self.longest = getattr(model.config, "max_position_embeddings", None) or UNBOUNDED

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]:
        return self.model.get_input_embeddings()(tokens)

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L E"]:
        return words

    def run(self, hidden: Float[Tensor, "L E"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        if start >= stop:
            return hidden
        passed = [self.model(inputs_embeds=each).last_hidden_state for each in rectangles(hidden, runs)]
        return torch.cat([each.flatten(0, 1) for each in passed])
