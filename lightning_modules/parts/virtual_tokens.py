"""Tokens that stand for no word: in front of each text (a prompt), or as keys and values in each layer (a prefix).

A model called layer by layer never passes peft's own forward, which would put them in; so the layouts do, and find them
in the model, where a strategy attached them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from peft import PeftModel
from torch import Tensor, nn

from lightning_modules.parts.runs import Run, rectangles

NAME = "virtual_tokens"


class KeysValues(NamedTuple):
    """Of one layer, for every text alike. K heads: those of keys, which several heads of queries may share."""

    keys: Float[Tensor, "K P size"]
    values: Float[Tensor, "K P size"]


class Prompt(nn.Module):
    """P vectors in the place of P words; what makes them is peft's."""

    def __init__(self, adapter: PeftModel) -> None:
        super().__init__()
        self.encoder = adapter.prompt_encoder[adapter.active_adapter]
        self.length: int = adapter.active_peft_config.num_virtual_tokens

    def forward(self) -> Float[Tensor, "P E"]:
        return self.encoder(torch.arange(self.length, device=next(self.encoder.parameters()).device)[None])[0]


class Prefix(nn.Module):
    """P keys and P values for each layer, as if of tokens in the P places before a text; what makes them is peft's, and
    in its order: keys, then values, of the first layer, of the second, and so on."""

    def __init__(self, adapter: PeftModel) -> None:
        super().__init__()
        config = adapter.active_peft_config
        self.encoder = adapter.prompt_encoder[adapter.active_adapter]
        self.length: int = config.num_virtual_tokens
        self.heads, self.size = config.num_attention_heads, config.token_dim // config.num_attention_heads

    def forward(self) -> list[KeysValues]:
        device = next(self.encoder.parameters()).device
        made = self.encoder(torch.arange(self.length, device=device)[None])[0]  # (P, layers * 2 * heads * size)
        each = made.unflatten(1, (-1, 2, self.heads, self.size)).permute(1, 2, 3, 0, 4)
        return [KeysValues(layer[0], layer[1]) for layer in each]


def attach(model: nn.Module, tokens: Prompt | Prefix) -> None:
    """Put them where the layouts look, and where they count among the model's parameters."""
    model.add_module(NAME, tokens)


def prompt_of(model: nn.Module) -> Float[Tensor, "P E"] | None:
    """The vectors to put in front of each text."""
    found = getattr(model, NAME, None)
    return found() if isinstance(found, Prompt) else None


def prefix_of(model: nn.Module) -> list[KeysValues] | None:
    """The keys and values to put before those of each text, layer by layer."""
    found = getattr(model, NAME, None)
    return found() if isinstance(found, Prefix) else None


def prefix_length(model: nn.Module) -> int:
    """How many places a prefix takes before a text's first one."""
    found = getattr(model, NAME, None)
    return found.length if isinstance(found, Prefix) else 0


def prefixes(model: nn.Module) -> list[Prefix]:
    """The prefix, where there is one: it has no layer of its own and reaches all."""
    return [found] if isinstance(found := getattr(model, NAME, None), Prefix) else []


def virtual_length(model: nn.Module) -> int:
    """How many of the model's positions a text cannot have."""
    return cast(int, getattr(getattr(model, NAME, None), "length", 0))


def put_before(
    prompt: Float[Tensor, "P E"], words: Float[Tensor, "L E"], runs: Sequence[Run]
) -> tuple[Float[Tensor, "M E"], tuple[Run, ...]]:
    """The prompt in front of each text, and where texts lie then."""
    parts = [torch.cat([prompt.expand(run.count, -1, -1), each], dim=1) for run, each in _of(words, runs)]
    longer = tuple(replace(run, length=run.length + len(prompt)) for run in runs)
    return torch.cat([part.flatten(0, 1) for part in parts]) if parts else words, longer


def _of(words: Tensor, runs: Sequence[Run]) -> list[tuple[Run, Tensor]]:
    return list(zip(runs, rectangles(words, runs), strict=True))
