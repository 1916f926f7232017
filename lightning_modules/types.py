"""The seams of the model floor, as records and protocols. Letters of the shapes: see `datamodules.types`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from datamodules.types import Events, Items, Queries, QueryBlock, Ranking, Targets, TrainingLog

Identity = Literal["exact", "numeric", "none"]
"""How a strategy's model relates to the pretrained one before the first step: bit for bit, up to rounding, not at
all."""


@dataclass
class State:
    """A batch of items on its way through a backbone's layers."""

    ids: Int[Tensor, " U"]
    hidden: Float[Tensor, "U S D"]
    mask: Bool[Tensor, "U S"]


@runtime_checkable
class Backbone(Protocol):
    """Items to vectors, layer by layer. Also an `nn.Module`.

    run(run(x, 0, i), i, depth) equals run(x, 0, depth). `pool` leaves one position; nothing in it trains unless the
    backbone says so in `pools_with_parameters`, so its result can be kept for a frozen model. `final` pools (pooling
    one position is the identity) and applies whatever always trains: projection, id embedding.

    pretrained: the module that a strategy may change; None where nothing is pretrained (then only `full` is accepted).
    layers: its layers in order, `depth` of them. Parameters outside `pretrained` are new and train under every
    strategy.
    """

    depth: int
    dim: int
    pretrained: nn.Module | None
    layers: list[nn.Module]
    pools_with_parameters: bool

    def embed(self, items: Items) -> State: ...

    def run(self, state: State, start: int, stop: int) -> State: ...

    def pool(self, state: State) -> State: ...

    def final(self, state: State) -> Float[Tensor, "U D"]: ...


def _every_rate_alike(name: str) -> float:
    return 1.0


@dataclass(frozen=True)
class Plan:
    """What a strategy decided about a pretrained module, after it injected what it wanted.

    trains: by parameter name (within the pretrained module). lr_scale: factor on the learning rate, by parameter name.
    regulariser: added to the loss. after_step: called with the number of optimizer steps made so far.
    """

    identity: Identity
    trains: Callable[[str], bool]
    lr_scale: Callable[[str], float] = _every_rate_alike
    regulariser: Callable[[], Tensor] | None = None
    after_step: Callable[[int], None] | None = None


@runtime_checkable
class Strategy(Protocol):
    """A way of fine-tuning. `plan` injects new modules in place and says what trains; it raises `ValueError`, naming
    the strategy, the model and the way out, where it cannot work. The encoder sets requires_grad and modes from the
    plan."""

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan: ...


@dataclass
class Interests:
    """Who the user is, at T moments: interest nodes and their weights w(v|u).

    weights[b, t] is non-negative, sums to one over the nodes known at query t and is zero elsewhere; rows of invalid
    queries mean nothing. owner: the history position that a node stands for, -1 where it stands for none.
    """

    nodes: Float[Tensor, "B V D"]
    weights: Float[Tensor, "B T V"]
    owner: Int[Tensor, "B V"]


@runtime_checkable
class Interest(Protocol):
    """vectors, events, queries -> nodes and weights. `causal`: row t depends on positions <= queries.position[t] alone,
    and so do the nodes that it weighs; only a causal interest may be trained by an objective that asks at every
    position."""

    causal: bool

    def __call__(self, vectors: Float[Tensor, "B H D"], events: Events, queries: Queries) -> Interests: ...


@dataclass
class Asked:
    """Interests, and which of their (user, moment) rows are asked: the True entries of `mask`, row by row, are the Q
    queries."""

    interests: Interests
    mask: Bool[Tensor, "B T"]


@runtime_checkable
class Head(Protocol):
    """Interests and a block of candidates -> scores of the Q valid queries. Also an `nn.Module`.

    scores = sum over nodes of contributions, plus prior. Vectors arrive centred.
    """

    def scores(self, asked: Asked, vectors: Float[Tensor, "C D"], ids: Int[Tensor, " C"]) -> Float[Tensor, "Q C"]: ...

    def contributions(self, asked: Asked, vectors: Float[Tensor, "C D"]) -> Float[Tensor, "Q V C"]: ...

    def prior(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]: ...


@dataclass
class ScoreBlock:
    """Scores of all queries against candidates start .. start + c, and the log-q of these candidates."""

    start: int
    scores: Float[Tensor, "Q C"]
    log_q: Float[Tensor, " C"]


@runtime_checkable
class Loss(Protocol):
    """Reduces over blocks of candidates, so that all scores of a step never need to exist at once."""

    def __call__(self, blocks: Iterable[ScoreBlock], targets: Targets) -> Float[Tensor, ""]: ...


@runtime_checkable
class Scorer(Protocol):
    """All that evaluation knows of a model. `truth` in a block is for the oracle alone."""

    def fit(self, train: TrainingLog, items: Items) -> None: ...

    def prepare(self, items: Items) -> None:
        """Called once before a pass over queries, with the whole catalogue."""
        ...

    def scores(self, block: QueryBlock, start: int, stop: int) -> Float[Tensor, "B C"]:
        """Scores of the block's users for catalogue ids start .. stop."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A pure function of a ranking: one value per query. `name` is the key in tables, such as ndcg@10."""

    @property
    def name(self) -> str: ...

    def __call__(self, ranking: Ranking) -> Float[Tensor, " Q"]: ...


class NotFiniteError(RuntimeError):
    """A score, loss or state is NaN or infinite; the message names the place."""


def require_finite(values: Tensor, place: str) -> Tensor:
    """Return `values`, or raise `NotFiniteError` saying where it went wrong and how often."""
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise NotFiniteError(f"{bad} of {values.numel()} values are NaN or infinite in {place}")
    return values
