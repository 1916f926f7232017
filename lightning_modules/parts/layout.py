"""Run a Hugging Face model layer by layer over texts that stand end to end, with the result of its own forward."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from lightning_modules.parts.packed_attention import PACKED
from lightning_modules.parts.runs import Run, positions, rectangles

BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
"""Model types that are `embeddings`, then `encoder.layer`, with nothing but hidden states in between."""

LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3")
"""Model types that are `embed_tokens`, then `layers` with rotary positions, then `norm`."""

UNBOUNDED = 10**9


@runtime_checkable
class Layout(Protocol):
    """How to enter a model and how to pass through its layers. `longest`: tokens of the longest text that it reads as
    the model's own forward does. `packs`: whether texts of unequal length go through a layer together; else each run
    of equal length goes alone."""

    layers: list[nn.Module]
    longest: int
    packs: bool

    def embed(self, tokens: Int[Tensor, " L"], runs: Sequence[Run]) -> Float[Tensor, "L D"]: ...

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]: ...


class BertLayout:
    """`embeddings` (ELECTRA projects them), then each of `encoder.layer`.

    Positions begin at 0, RoBERTa's at padding_idx + 1. Attention becomes `packed_attention`.
    """

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.encoder.layer)
        padding = getattr(model.embeddings, "padding_idx", None)
        self.first = 0 if padding is None else padding + 1
        self.longest = model.config.max_position_embeddings - self.first

    def embed(self, tokens: Int[Tensor, " L"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        places = self.first + positions(runs, tokens.device)
        hidden = self.model.embeddings(input_ids=tokens[None], position_ids=places[None])[0]
        project = getattr(self.model, "embeddings_project", None)
        return hidden if project is None else project(hidden)

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        return _through(self.layers[start:stop], hidden, runs=runs)


class LlamaLayout:
    """`embed_tokens`, then each of `layers` with rotary positions; the last norm comes with the last layer.

    Within a text every token sees all before it, so a text has to fit into the window of layers that see no further.
    """

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.layers)
        self.longest = min(model.config.max_position_embeddings, _window(model.config))

    def embed(self, tokens: Int[Tensor, " L"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        return self.model.embed_tokens(tokens)

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        rotary = self.model.rotary_emb(hidden[None], position_ids=positions(runs, hidden.device)[None])
        hidden = _through(self.layers[start:stop], hidden, position_embeddings=rotary, runs=runs)
        return self.model.norm(hidden) if start < stop == len(self.layers) else hidden


class Gpt2Layout:
    """`wte` + `wpe`, then each of `h`; the last norm comes with the last layer."""

    packs = True

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(PACKED)
        self.model = model
        self.layers = list(model.h)
        self.longest = model.config.max_position_embeddings

    def embed(self, tokens: Int[Tensor, " L"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        return self.model.drop(self.model.wte(tokens) + self.model.wpe(positions(runs, tokens.device)))

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        hidden = _through(self.layers[start:stop], hidden, runs=runs)
        return self.model.ln_f(hidden) if start < stop == len(self.layers) else hidden


class WholeLayout:
    """Any other model: its token embeddings, then the whole model as one layer, once for each length of text.

    Strategies work on it, but cannot tell its layers apart: whatever trains, all of it runs in training mode.
    """

    packs = False

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layers: list[nn.Module] = [model]
        self.longest = getattr(model.config, "max_position_embeddings", None) or UNBOUNDED

    def embed(self, tokens: Int[Tensor, " L"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        return self.model.get_input_embeddings()(tokens)

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]:
        if start >= stop:
            return hidden
        through = [self.model(inputs_embeds=each).last_hidden_state for each in rectangles(hidden, runs)]
        return torch.cat([each.flatten(0, 1) for each in through])


def layout_of(model: PreTrainedModel) -> Layout:
    """The finest layout that is known to equal the model's own forward."""
    kind = model.config.model_type
    if kind in BERT_LIKE and not model.config.is_decoder:
        return BertLayout(model)
    if kind in LLAMA_LIKE:
        return LlamaLayout(model)
    return Gpt2Layout(model) if kind == "gpt2" else WholeLayout(model)


def _window(config: PretrainedConfig) -> int:
    """How many tokens, itself included, a token sees in the layer that sees least. Mistral's layers have no types, for
    all are alike."""
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"]
    window = getattr(config, "sliding_window", None) if "sliding_attention" in kinds else None
    return window or UNBOUNDED


def _through(layers: Sequence[nn.Module], hidden: Float[Tensor, "L D"], **settings: Any) -> Float[Tensor, "L D"]:
    """All tokens as one row; the layers are transformers' own."""
    row = hidden[None]
    for layer in layers:
        row = layer(row, attention_mask=None, **settings)
    return row[0]
