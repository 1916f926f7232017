"""Items to centred vectors: a backbone, the strategy that decides what of it trains, and how its texts are batched."""

from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Items
from lightning_modules.parts.chunking import chunk_by_length
from lightning_modules.parts.whitening import Whitening
from lightning_modules.types import Backbone, Plan, State, Strategy, require_finite

CATALOGUE_TOKENS = 8192
"""Padded tokens in a chunk of the catalogue; fixed, since another padding moves a vector by 4e-7, and so a rank."""


class Trainable(NamedTuple):
    """A parameter that trains: name in the encoder, factor on the learning rate, whether weight decay applies."""

    name: str
    parameter: nn.Parameter
    lr_scale: float
    decays: bool


class Encoder(nn.Module):
    """Encode each distinct item once; vectors leave centred by the catalogue's mean, after the last trainable map.

    On construction the strategy changes `backbone.pretrained` in place and says what of it trains; all parameters
    outside it train. `lowest` is the first layer that trains anything (0 where embeddings train, `depth` where nothing
    of the pretrained model does): layers below it stay in eval mode also in training, so their output never changes;
    layers from it on have their dropout in training, whatever mode the model was loaded in. Embeddings have theirs
    only if they train.

    tokens_per_chunk bounds the padded tokens that pass through the layers at once in training; it changes memory and
    speed, and the result by rounding alone.

    Raises ValueError where the strategy cannot work with the backbone.
    """

    mean: Tensor

    def __init__(self, backbone: Backbone, strategy: Strategy, tokens_per_chunk: int = 4096) -> None:
        super().__init__()
        if tokens_per_chunk < 1:
            raise ValueError(f"tokens_per_chunk={tokens_per_chunk} holds no text: give at least 1, such as 4096")
        self.backbone = backbone
        self.tokens_per_chunk = tokens_per_chunk
        self.dim = backbone.dim
        self.plan = _plan(backbone, strategy)
        self._pretrained_names = _names_within(backbone)
        for name, parameter in _module(backbone).named_parameters():
            inner = self._pretrained_names.get(name)
            parameter.requires_grad_(inner is None or self.plan.trains(inner))
        self.embeddings_train = _trains_outside_layers(backbone)
        self.lowest = 0 if self.embeddings_train else _lowest_trained(backbone.layers)
        self.register_buffer("mean", torch.zeros(backbone.dim))
        self.train()

    @property
    def features_reusable(self) -> bool:
        """Whether the pooled vectors never change in training, so that they can be computed once and kept."""
        frozen = self.backbone.pretrained is not None and self.lowest == self.backbone.depth
        return frozen and not self.backbone.pools_with_parameters

    def train(self, mode: bool = True) -> "Encoder":
        super().train(mode)
        if mode and self.backbone.pretrained is not None:
            self.backbone.pretrained.train(self.embeddings_train)
            for index, layer in enumerate(self.backbone.layers):
                layer.train(index >= self.lowest)
        return self

    def forward(self, items: Items) -> Float[Tensor, "U D"]:
        """Centred vectors, in the order of `items`. Where features are given they stand for the pooled output."""
        return self.backbone.final(self._pooled(items, self.tokens_per_chunk)) - self.mean

    def catalogue(self, items: Items) -> Float[Tensor, "N D"]:
        """Vectors before centring, in eval mode and without gradient, in a batching that no setting changes."""
        vectors = self._canonical(items, finish=True)
        return require_finite(vectors, "the catalogue's vectors")

    def pooled_features(self, items: Items) -> Float[Tensor, "N F"]:
        """Pooled vectors before whitening and projection, batched as `catalogue` does; given features as they are."""
        return require_finite(self._canonical(items, finish=False), "the catalogue's pooled vectors")

    def fit(self, items: Items) -> None:
        """Fit on the whole catalogue's text what has to be fitted before training. Does nothing the second time."""
        waiting = [part for part in _module(self.backbone).modules() if isinstance(part, Whitening) and not part.fitted]
        if waiting:
            pooled = self.pooled_features(items)
            for part in waiting:
                part.fit(pooled)

    def centre(self, catalogue: Float[Tensor, "N D"]) -> None:
        """Take the mean of the catalogue's vectors as the new origin."""
        self.mean.copy_(catalogue.mean(0))

    def trainable(self) -> list[Trainable]:
        """Everything that trains. Weight decay leaves out what is one-dimensional: biases and the gains of norms."""
        found = []
        for name, parameter in _module(self.backbone).named_parameters():
            if parameter.requires_grad:
                inner = self._pretrained_names.get(name)
                scale = 1.0 if inner is None else self.plan.lr_scale(inner)
                found.append(Trainable(f"backbone.{name}", parameter, scale, parameter.ndim > 1))
        return found

    @torch.no_grad()
    def _canonical(self, items: Items, finish: bool) -> Float[Tensor, "N F"]:
        training = self.training
        self.eval()
        state = self._pooled(items, CATALOGUE_TOKENS)
        vectors = self.backbone.final(state) if finish else state.hidden[:, 0]
        self.train(training)
        return vectors

    def _pooled(self, items: Items, budget: int) -> State:
        """One position for each item; texts go through the layers in chunks, and their order is restored."""
        if items.features is not None:
            return _single(items, items.features)
        if items.tokens is None:
            return self._through_layers(items)
        chunks = chunk_by_length(items.tokens.lengths(), budget)
        pooled = torch.cat([self._through_layers(items.take(rows)).hidden[:, 0] for rows in chunks])
        return _single(items, pooled[torch.argsort(torch.cat(chunks))])

    def _through_layers(self, items: Items) -> State:
        return self.backbone.pool(self.backbone.run(self.backbone.embed(items), 0, self.backbone.depth))


def _single(items: Items, vectors: Float[Tensor, "U F"]) -> State:
    mask = torch.ones(len(vectors), 1, dtype=torch.bool, device=vectors.device)
    return State(items.ids, vectors[:, None], mask)


def _module(backbone: Backbone) -> nn.Module:
    """A backbone is a module as well, which a protocol cannot say."""
    return cast(nn.Module, backbone)


def _plan(backbone: Backbone, strategy: Strategy) -> Plan:
    """The strategy's plan. Where nothing is pretrained, holding anything back means nothing and is refused."""
    if backbone.pretrained is not None:
        return strategy.plan(backbone.pretrained, backbone.layers)
    try:
        plan = strategy.plan(nn.Linear(1, 1, bias=False), [])
    except ValueError:
        plan = None
    if plan is None or not plan.trains("weight"):
        raise ValueError(
            f"{type(strategy).__name__} changes a pretrained model and {type(backbone).__name__} has none: "
            "use strategy=full, or a backbone with a language model (minilm, bert_base, hybrid)"
        )
    return plan


def _names_within(backbone: Backbone) -> dict[str, str]:
    """Names of parameters in the backbone -> their names in the pretrained module, for those that are in it."""
    if backbone.pretrained is None:
        return {}
    inner = {id(parameter): name for name, parameter in backbone.pretrained.named_parameters()}
    return {name: inner[id(p)] for name, p in _module(backbone).named_parameters() if id(p) in inner}


def _trains_outside_layers(backbone: Backbone) -> bool:
    if backbone.pretrained is None:
        return False
    inside = {id(parameter) for layer in backbone.layers for parameter in layer.parameters()}
    return any(p.requires_grad and id(p) not in inside for p in backbone.pretrained.parameters())


def _lowest_trained(layers: list[nn.Module]) -> int:
    for index, layer in enumerate(layers):
        if any(parameter.requires_grad for parameter in layer.parameters()):
            return index
    return len(layers)
