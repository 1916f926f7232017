"""Run a Hugging Face encoder layer by layer, with the result of its own forward."""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask

BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
"""Model types that are `embeddings`, then `encoder.layer`, with nothing but hidden states and a mask in between."""


@runtime_checkable
class Layout(Protocol):
    """How to enter a model and how to pass through its layers. `longest`: tokens that its positions can number."""

    layers: list[nn.Module]
    longest: int

    def embed(self, tokens: Int[Tensor, "U S"]) -> Float[Tensor, "U S D"]: ...

    def run(
        self, hidden: Float[Tensor, "U S D"], mask: Bool[Tensor, "U S"], start: int, stop: int
    ) -> Float[Tensor, "U S D"]: ...


class BertLayout:
    """`embeddings` (ELECTRA projects them), then each of `encoder.layer`.

    Positions are left to the model's own embeddings: RoBERTa's begin at padding_idx + 1 and are counted from the
    tokens, so padding must be the model's padding token. The mask is prepared by the function that the model itself
    uses.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layers = list(model.encoder.layer)
        first = getattr(model.embeddings, "padding_idx", None)
        self.longest = model.config.max_position_embeddings - (0 if first is None else first + 1)

    def embed(self, tokens: Int[Tensor, "U S"]) -> Float[Tensor, "U S D"]:
        hidden = self.model.embeddings(input_ids=tokens)
        project = getattr(self.model, "embeddings_project", None)
        return hidden if project is None else project(hidden)

    def run(
        self, hidden: Float[Tensor, "U S D"], mask: Bool[Tensor, "U S"], start: int, stop: int
    ) -> Float[Tensor, "U S D"]:
        prepared = create_bidirectional_mask(config=self.model.config, inputs_embeds=hidden, attention_mask=mask)
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, prepared)
        return hidden


class WholeLayout:
    """Any other encoder: its token embeddings, then the whole model as one layer.

    Strategies work on it, but cannot tell its layers apart: whatever trains, all of it runs in training mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layers: list[nn.Module] = [model]
        self.longest = getattr(model.config, "max_position_embeddings", None) or 10**9

    def embed(self, tokens: Int[Tensor, "U S"]) -> Float[Tensor, "U S D"]:
        return self.model.get_input_embeddings()(tokens)

    def run(
        self, hidden: Float[Tensor, "U S D"], mask: Bool[Tensor, "U S"], start: int, stop: int
    ) -> Float[Tensor, "U S D"]:
        if start >= stop:
            return hidden
        return self.model(inputs_embeds=hidden, attention_mask=mask.long()).last_hidden_state


def layout_of(model: PreTrainedModel) -> Layout:
    """The finest layout that is known to equal the model's own forward."""
    plain_bert = model.config.model_type in BERT_LIKE and not model.config.is_decoder
    return BertLayout(model) if plain_bert else WholeLayout(model)
