"""GPT-2: `wte` + `wpe`, then each of `h`, then `ln_f`."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from lightning_modules.parts.layouts.layout import settings_of, through
from lightning_modules.parts.packed_attention import PACKED
from lightning_modules.parts.runs import Run, positions
from lightning_modules.parts.virtual_tokens import prefix_length


class Gpt2Layout:
    """Within a text every token sees all before it; the last norm comes with the last layer."""

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.h)
        self.longest = model.config.max_position_embeddings

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]:
        return self.model.wte(tokens)

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        places = prefix_length(self.model) + positions(runs, words.device)
        return self.model.drop(words + self.model.wpe(places))

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        hidden = through(self.layers[start:stop], hidden, settings_of(self.model, runs, start, stop))
        return self.model.ln_f(hidden) if start < stop == len(self.layers) else hidden
