"""A backbone whose layers stay as they are, with a network beside it that reads what they say.

What the layers say at the taps is all that the network needs, and never changes; so it can be computed once and kept,
and a step passes through no layer at all (Sung et al. 2022, "LST"; Fu et al. 2024, "IISAN").
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from datamodules.types import Items
from lightning_modules.parts.pooling import ClsPooling, DecoderPooling, LastPooling, MeanPooling
from lightning_modules.types import Backbone, PooledReading, State, TokenReading

KINDS: dict[type[nn.Module], str] = {MeanPooling: "mean", ClsPooling: "cls", LastPooling: "last"}
"""Poolings that take each number of a token's state by itself, so that states of several taps can be pooled side by
side."""


def every_tap(method: str, model: nn.Module, layers: Sequence[nn.Module], every: int) -> list[int]:
    """Every so many layers from the last one down, and the embeddings. Raises ValueError where there are no layers to
    tell apart."""
    if not layers or layers[0] is model:
        kind = type(model).__name__
        raise ValueError(
            f"{method} reads what each layer says, and {kind} is not known layer by layer: use strategy=lora, or a "
            "backbone of a known family (minilm, bert_base, ...)"
        )
    return sorted({0, *range(len(layers), 0, -every)})


def with_reading(backbone: Backbone, reading: TokenReading | PooledReading | None) -> Backbone:
    """The backbone, read by `reading` where there is one. Raises ValueError where they do not fit."""
    if reading is None:
        return backbone
    taps = list(reading.taps)
    if taps != sorted(set(taps)) or not taps or taps[0] < 0 or taps[-1] != backbone.depth:
        raise ValueError(
            f"{type(reading).__name__} taps={taps} must ascend from 0, the embeddings, at the least, to "
            f"{backbone.depth}, the last layer of {type(backbone.pretrained).__name__}"
        )
    tapped: Any = TokenTapped if isinstance(reading, TokenReading) else PooledTapped
    return cast(Backbone, tapped(backbone, reading))


class Taps(nn.Module):
    """Collects what leaves the tapped layers: until layer i, states are those of the taps below i, then that of i,
    side by side."""

    def __init__(self, backbone: Backbone, taps: Sequence[int]) -> None:
        super().__init__()
        self.backbone, self.taps = backbone, frozenset(taps)

    def forward(self, state: State, stop: int) -> State:
        """From where the state stands to layer `stop`."""
        if state.depth >= stop:
            return state  # without a copy: what was kept is wide
        width = state.hidden.shape[-1] // (1 + sum(tap < state.depth for tap in self.taps))
        *seen, current = state.hidden.split(width, dim=-1)
        state = replace(state, hidden=current)
        for layer in range(state.depth, stop):
            if layer in self.taps:
                seen.append(state.hidden)
            state = self.backbone.run(state, layer, layer + 1)
        return replace(state, hidden=torch.cat([*seen, state.hidden], dim=-1))


class TokenTapped(nn.Module):
    """The network is the last layer: it takes the place of what the model's last layer says of each token."""

    def __init__(self, backbone: Backbone, reading: TokenReading) -> None:
        super().__init__()
        self.read = Taps(backbone, reading.taps)
        self.reading = reading
        self.depth, self.dim = backbone.depth + 1, backbone.dim
        self.layers = [*backbone.layers, cast(nn.Module, reading)]
        self.pools_with_parameters, self.packs = backbone.pools_with_parameters, backbone.packs

    @property
    def inner(self) -> Backbone:
        """The backbone that is read."""
        return self.read.backbone

    @property
    def pretrained(self) -> nn.Module | None:
        """Its own."""
        return self.inner.pretrained

    def embed(self, items: Items) -> State:
        return self.inner.embed(items)

    def run(self, state: State, start: int, stop: int) -> State:
        state = self.read(state, min(stop, self.inner.depth))
        if start < stop == self.depth:
            return replace(state, hidden=self.reading.tokens(state.hidden, state.runs), depth=stop)
        return state

    def pool(self, state: State) -> Float[Tensor, "U F"]:
        return self.inner.pool(state)

    def settle(self, pooled: Float[Tensor, "U F"]) -> Float[Tensor, "U F"]:
        return self.inner.settle(pooled)

    def final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U F"]) -> Float[Tensor, "U D"]:
        return self.inner.final(ids, settled)


class PooledTapped(nn.Module):
    """The network stands after pooling: it takes the place of the last layer's pooled vector. What can be kept is one
    vector of each text at each tap, before whitening."""

    def __init__(self, backbone: Backbone, reading: PooledReading) -> None:
        super().__init__()
        parts = [type(part) for part in cast(nn.Module, backbone).modules()]
        if backbone.pools_with_parameters or DecoderPooling in parts:
            raise ValueError(
                f"{type(reading).__name__} reads pooled vectors of each layer that never change, and this pooling "
                "learns or knows the last layer alone: use pooling=mean, cls or last"
            )
        reading.pooled_by(next((KINDS[part] for part in parts if part in KINDS), None))
        self.read = Taps(backbone, reading.taps)
        self.reading = reading
        self.depth, self.dim, self.layers = backbone.depth, backbone.dim, backbone.layers
        self.pools_with_parameters, self.packs = False, backbone.packs

    @property
    def inner(self) -> Backbone:
        """The backbone that is read."""
        return self.read.backbone

    @property
    def pretrained(self) -> nn.Module | None:
        """Its own."""
        return self.inner.pretrained

    def embed(self, items: Items) -> State:
        return self.inner.embed(items)

    def run(self, state: State, start: int, stop: int) -> State:
        return self.read(state, stop)

    def pool(self, state: State) -> Float[Tensor, "U W"]:
        return self.inner.pool(state)

    def settle(self, pooled: Float[Tensor, "U W"]) -> Float[Tensor, "U W"]:
        return pooled

    def final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U W"]) -> Float[Tensor, "U D"]:
        return self.inner.final(ids, self.inner.settle(self.reading.pooled(settled)))
