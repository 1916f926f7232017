"""Items to centred vectors: a backbone, the strategy that decides what of it trains, and how its texts are batched."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from datamodules.types import Items, Ragged
from lightning_modules.finite import require_finite
from lightning_modules.parts.chunking import chunk_by_length
from lightning_modules.parts.full_precision import full_precision
from lightning_modules.parts.planning import as_module, lowest_trained, names_within, plan_of, trains_outside_layers
from lightning_modules.parts.runs import runs_of
from lightning_modules.parts.sharing import shared_out
from lightning_modules.parts.tapped import with_reading
from lightning_modules.parts.whitening import Whitening
from lightning_modules.types import Backbone, PooledReading, State, Strategy

CATALOGUE_TOKENS = 8192
"""Tokens in a chunk of the catalogue; fixed, since another shape moves a vector by 4e-7, and so a rank."""


class Trainable(NamedTuple):
    """A parameter that trains: name in the encoder, whether it is the strategy's (of the language model, or of a
    network that reads it) or new beside it, factor on the learning rate, and the share of all steps before which it
    stays."""

    name: str
    parameter: nn.Parameter
    of_strategy: bool
    lr_scale: float
    starts: float


class Encoder(nn.Module):
    """Encode each distinct item once; vectors leave centred by the catalogue's mean, after the last trainable map.

    On construction the strategy changes `backbone.pretrained` in place and says what of it trains; all parameters
    outside it train. `lowest` is the first layer that trains anything (0 where embeddings train, `depth` where nothing
    of the pretrained model does): layers below it stay in eval mode also in training, so their output never changes;
    layers from it on have their dropout in training, whatever mode the model was loaded in. Embeddings have theirs
    only if they train.

    tokens_per_chunk bounds the tokens that pass through the layers at once in training. With `recompute` what the
    layers keep for the backward pass is thrown away after each chunk and computed again when its turn comes (Chen et
    al. 2016, "Training Deep Nets with Sublinear Memory Cost"; chunk by chunk it is the gradient caching of Gao et al.
    2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"): the texts of a step then need
    never fit into memory together. Recomputing changes memory and speed alone; other chunks also change rounding, and
    which text gets which dropout mask, since masks are drawn chunk by chunk.

    Under autocast only the language model computes in half precision: its tokens' embeddings and its layers.

    Raises ValueError where the strategy cannot work with the backbone.
    """

    mean: Tensor

    def __init__(self, backbone: Backbone, strategy: Strategy, tokens_per_chunk: int = 4096) -> None:
        super().__init__()
        if tokens_per_chunk < 1:
            raise ValueError(f"tokens_per_chunk={tokens_per_chunk} holds no text: give at least 1, such as 4096")
        self.plan = plan_of(backbone, strategy)
        self.backbone = backbone = with_reading(backbone, self.plan.reading)
        self.tokens_per_chunk = tokens_per_chunk
        self.recompute = False
        self.dim = backbone.dim
        self._pretrained_names = names_within(backbone)
        for name, parameter in as_module(backbone).named_parameters():
            inner = self._pretrained_names.get(name)
            parameter.requires_grad_(inner is None or self.plan.trains(inner))
        self.embeddings_train = trains_outside_layers(backbone)
        self.lowest = 0 if self.embeddings_train else lowest_trained(backbone)
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
        """Centred vectors, in the order of `items`. Where features are given they stand for the settled output."""
        settled = self.settled(self._chunked(items)) if items.features is None else items.features
        return self._final(items.ids, settled) - self.mean

    def catalogue(self, items: Items) -> Float[Tensor, "N D"]:
        """Vectors before centring, in eval mode and without gradient, in a batching that no setting changes."""
        with _evaluating(self):
            settled = self.settled(self._canonical(items)) if items.features is None else items.features
            vectors = self._final(items.ids, settled)
        return require_finite(vectors.float(), "the catalogue's vectors")

    def pooled(self, items: Items) -> Float[Tensor, "N F"]:
        """Pooled vectors before whitening and projection, batched as `catalogue` does."""
        with _evaluating(self):
            pooled = self._canonical(items)
        return require_finite(pooled.float(), "the catalogue's pooled vectors")

    def lower_states(self, items: Items) -> Iterator[tuple[Int[Tensor, " R"], Float[Tensor, "L D"]]]:
        """What leaves the layers below `lowest`, chunk by chunk: row numbers, and their tokens end to end."""
        assert items.tokens is not None
        for rows in chunk_by_length(items.tokens.lengths(), CATALOGUE_TOKENS):
            with _evaluating(self):
                state = self.backbone.run(self.backbone.embed(items.take(rows)), 0, self.lowest)
            yield rows, require_finite(state.hidden, f"the states below layer {self.lowest}")

    def settled(self, pooled: Float[Tensor, "N F"]) -> Float[Tensor, "N F"]:
        """Pooled vectors as `features` hold them: with what is fitted once and then fixed applied."""
        with full_precision(self.mean.device):
            return self.backbone.settle(pooled)

    def fit(self, pooled: Callable[[], Float[Tensor, "N F"]]) -> None:
        """Fit on the catalogue's pooled vectors, as they are before the first step, what has to be fitted before
        training. Asks for them only where something has to be, and does nothing the second time."""
        waiting = [
            part for part in as_module(self.backbone).modules() if isinstance(part, Whitening) and not part.fitted
        ]
        if waiting:
            vectors = pooled()
            if isinstance(self.plan.reading, PooledReading):  # which makes of several layers' vectors what is whitened
                with _evaluating(self):
                    vectors = self.plan.reading.pooled(vectors)
            for part in waiting:
                part.fit(vectors)

    def centre(self, catalogue: Float[Tensor, "N D"]) -> None:
        """Take the mean of the catalogue's vectors as the new origin."""
        self.mean.copy_(catalogue.mean(0))

    def trainable(self) -> list[Trainable]:
        """Everything that trains."""
        reading = cast(nn.Module | None, self.plan.reading)
        read = set() if reading is None else {id(parameter) for parameter in reading.parameters()}
        found = []
        for name, parameter in as_module(self.backbone).named_parameters():
            if parameter.requires_grad:
                inner = self._pretrained_names.get(name)
                scale, starts = (1.0, 0.0) if inner is None else (self.plan.lr_scale(inner), self.plan.starts(inner))
                ours = inner is not None or id(parameter) in read
                found.append(Trainable(f"backbone.{name}", parameter, ours, scale, starts))
        return found

    def _canonical(self, items: Items) -> Float[Tensor, "N F"]:
        """In chunks that depend on the texts alone; the processes of a run share them out."""
        texts = _texts(items)
        if texts is None:
            return self._pooled(self.backbone.embed(items))
        chunks = chunk_by_length(texts.lengths(), CATALOGUE_TOKENS)
        return shared_out(chunks, lambda rows: self._through_layers(self._entered(items.take(rows))))

    def _chunked(self, items: Items) -> Float[Tensor, "U F"]:
        """Texts pass in chunks, shortest first, and come back in the order of `items`. They enter together: a table of
        embeddings that trains would else get a gradient of its whole size from each chunk."""
        texts = _texts(items)
        if texts is None:
            return self._pooled(self.backbone.embed(items))
        chunks = chunk_by_length(texts.lengths(), self.tokens_per_chunk)
        order = torch.cat(chunks)
        states = self._entered(items.take(order)).split([len(rows) for rows in chunks])
        pooled = torch.cat([self._kept_or_recomputed(state) for state in states])
        return pooled[torch.argsort(order)]

    def _kept_or_recomputed(self, state: State) -> Float[Tensor, "U F"]:
        def through(hidden: Float[Tensor, "L D"]) -> Float[Tensor, "U F"]:
            return self._through_layers(replace(state, hidden=hidden))

        if self.recompute and torch.is_grad_enabled():
            # Handed over as a tensor: `checkpoint` looks among its arguments for the devices whose random state it has
            # to keep, and does not look into a record. Without it a GPU would draw other dropout masks on the way back.
            return checkpoint(through, state.hidden, use_reentrant=False)
        return through(state.hidden)

    def _entered(self, items: Items) -> State:
        """At the first layer that has to be computed. States of a whole catalogue may lie on the host, too large for a
        GPU; they come chunk by chunk."""
        if items.states is None:
            return self.backbone.embed(items)
        runs, values = runs_of(items.states.lengths().tolist()), items.states.values
        return State(items.ids, values.to(self.mean.device).float(), runs, depth=self.lowest)

    def _through_layers(self, state: State) -> Float[Tensor, "U F"]:
        """From there on; states were kept at the lowest layer that trains."""
        return self._pooled(self.backbone.run(state, state.depth, self.backbone.depth))

    def _pooled(self, state: State) -> Float[Tensor, "U F"]:
        with full_precision(self.mean.device):
            return self.backbone.pool(replace(state, hidden=state.hidden.float()))

    def _final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U F"]) -> Float[Tensor, "U D"]:
        with full_precision(self.mean.device):
            return self.backbone.final(ids, settled)


def _texts(items: Items) -> Ragged | None:
    return items.tokens if items.states is None else items.states


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode without gradient; the mode that was there comes back."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
