"""Llama, Mistral, Qwen: `embed_tokens`, then each of `layers` with rotary positions, then `norm`."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from lightning_modules.parts.layouts.layout import settings_of, through
from lightning_modules.parts.packed_attention import PACKED
from lightning_modules.parts.runs import Run, positions
from lightning_modules.parts.virtual_tokens import prefix_length


class LlamaLayout:
    """Within a text every token sees all before it, in some layers of some models those of a window; the last norm
    comes with the last layer. A prefix's keys are not turned, so a text's angles begin behind it, as in peft."""

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.layers)
        self.longest = model.config.max_position_embeddings

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]:
        return self.model.embed_tokens(tokens)

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        return words

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        places = prefix_length(self.model) + positions(runs, hidden.device)
        angles = self.model.rotary_emb(hidden[None], position_ids=places[None])
        settings = [own | {"position_embeddings": angles} for own in settings_of(self.model, runs, start, stop)]
        hidden = through(self.layers[start:stop], hidden, settings)
        return self.model.norm(hidden) if start < stop == len(self.layers) else hidden
