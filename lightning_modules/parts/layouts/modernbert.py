"""ModernBERT: `embeddings`, then each of `layers` with rotary positions, some seeing a window, then `final_norm`."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from lightning_modules.parts.layouts.layout import settings_of, through
from lightning_modules.parts.packed_attention import PACKED
from lightning_modules.parts.runs import Run, positions
from lightning_modules.parts.virtual_tokens import prefix_length


class ModernBertLayout:
    """Layers that see all of a text and layers that see a window have angles of their own; the last norm comes with the
    last layer. A prefix's keys are not turned, so a text's angles begin behind it."""

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.layers)
        self.longest = model.config.max_position_embeddings

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]:
        return self.model.embeddings.tok_embeddings(tokens)

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        return self.model.embeddings(inputs_embeds=words[None])[0]

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        places = (prefix_length(self.model) + positions(runs, hidden.device))[None]
        kinds = self.model.config.layer_types[start:stop]
        angles = {kind: self.model.rotary_emb(hidden[None], places, kind) for kind in set(kinds)}
        settings = settings_of(self.model, runs, start, stop)
        settings = [own | {"position_embeddings": angles[kind]} for own, kind in zip(settings, kinds, strict=True)]
        hidden = through(self.layers[start:stop], hidden, settings)
        return self.model.final_norm(hidden) if start < stop == len(self.layers) else hidden
