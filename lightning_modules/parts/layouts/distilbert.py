"""DistilBERT: `embeddings`, then each of `transformer.layer`."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from lightning_modules.parts.layouts.layout import settings_of, through
from lightning_modules.parts.packed_attention import PACKED
from lightning_modules.parts.runs import Run, positions
from lightning_modules.parts.virtual_tokens import prefix_length


class DistilBertLayout:
    """BERT without segments, under other names."""

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.transformer.layer)
        self.longest = model.config.max_position_embeddings

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]:
        return self.model.embeddings.word_embeddings(tokens)

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        places = prefix_length(self.model) + positions(runs, words.device)
        return self.model.embeddings(input_ids=None, inputs_embeds=words[None], position_ids=places[None])[0]

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        return through(self.layers[start:stop], hidden, settings_of(self.model, runs, start, stop))
