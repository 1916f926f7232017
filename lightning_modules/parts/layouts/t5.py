"""T5's encoder: `shared`, then each of `encoder.block`, then `encoder.final_layer_norm`."""

from collections.abc import Sequence
from functools import cache

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from lightning_modules.parts.layouts.layout import UNBOUNDED, settings_of, through
from lightning_modules.parts.packed_attention import PACKED
from lightning_modules.parts.runs import Run


class T5Layout:
    """A bias on the distance of two tokens stands in the first block and holds for all: each block is given it by the
    length of a text. The last norm comes with the last layer."""

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.encoder.block)
        self.longest = UNBOUNDED

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]:
        return self.model.shared(tokens)

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        return self.model.encoder.dropout(words)

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        table = self.layers[0].layer[0].SelfAttention

        @cache  # the blocks of one pass share what is computed, and its gradient
        def bias(length: int) -> Float[Tensor, "1 heads S S"]:
            return table.compute_bias(length, length, device=hidden.device)

        settings = [own | {"position_bias": bias} for own in settings_of(self.model, runs, start, stop)]
        hidden = through(self.layers[start:stop], hidden, settings)
        ends = start < stop == len(self.layers)
        return self.model.encoder.dropout(self.model.encoder.final_layer_norm(hidden)) if ends else hidden
