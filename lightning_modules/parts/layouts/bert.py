"""BERT, RoBERTa, ELECTRA and their kin: `embeddings`, then each of `encoder.layer`."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from lightning_modules.parts.layouts.layout import settings_of, through
from lightning_modules.parts.packed_attention import PACKED
from lightning_modules.parts.runs import Run, positions
from lightning_modules.parts.virtual_tokens import prefix_length


class BertLayout:
    """Nothing but hidden states between the layers; ELECTRA projects what it embeds. Positions begin at 0, RoBERTa's at
    padding_idx + 1."""

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.encoder.layer)
        padding = getattr(model.embeddings, "padding_idx", None)
        self.first = 0 if padding is None else padding + 1
        self.longest = model.config.max_position_embeddings - self.first

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]:
        return self.model.embeddings.word_embeddings(tokens)

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        places = self.first + prefix_length(self.model) + positions(runs, words.device)
        hidden = self.model.embeddings(inputs_embeds=words[None], position_ids=places[None])[0]
        project = getattr(self.model, "embeddings_project", None)
        return hidden if project is None else project(hidden)

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        return through(self.layers[start:stop], hidden, settings_of(self.model, runs, start, stop))
