"""The seams of the model floor, as records and protocols. Letters of the shapes: see `datamodules.types`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from datamodules.types import Events, Items, Queries, QueryBlock, Ranking, Targets, TrainingLog
from lightning_modules.parts.runs import Run, runs_of

Identity = Literal["exact", "numeric", "none"]
"""How a strategy's model relates to the pretrained one before the first step: bit for bit, up to rounding, not at
all."""


@dataclass
class State:
    """A batch of items on its way through a backbone's layers: the tokens of all texts end to end, without padding.

    runs: where texts of one length stand side by side; together they hold all U texts, in the order of ids. virtual: so
    many tokens in front of each text are none of its own (counted in runs). depth: how many layers lie behind it.
    """

    ids: Int[Tensor, " U"]
    hidden: Float[Tensor, "L D"]
    runs: tuple[Run, ...]
    virtual: int = 0
    depth: int = 0

    def split(self, counts: Sequence[int]) -> list["State"]:
        """The first counts[0] texts, the next counts[1] ones, and so on."""
        lengths = [run.length for run in self.runs for _ in range(run.count)]
        starts = [0, *accumulate(counts)]
        parts = [lengths[start:stop] for start, stop in pairwise(starts)]
        hidden = self.hidden.split([sum(part) for part in parts])
        ids = self.ids.split(list(counts))
        return [
            State(i, h, runs_of(part), self.virtual, self.depth) for i, h, part in zip(ids, hidden, parts, strict=True)
        ]


@runtime_checkable
class Backbone(Protocol):
    """Items to vectors, layer by layer. Also an `nn.Module`.

    run(run(x, 0, i), i, depth) equals run(x, 0, depth). `pool` leaves one vector of each text; nothing in it trains
    unless the backbone says so in `pools_with_parameters`, so its result can be kept for a frozen model. `settle`
    applies what is fitted once, before training, and then stays (whitening). `final` applies whatever always trains:
    projection, id embedding.

    pretrained: the module that a strategy may change; None where nothing is pretrained (then only `full` is accepted).
    layers: its layers in order, `depth` of them. Parameters outside `pretrained` are new and train under every
    strategy. packs: texts of unequal length pass through a layer together; else those of one length at a time.
    """

    depth: int
    dim: int
    pretrained: nn.Module | None
    layers: list[nn.Module]
    pools_with_parameters: bool
    packs: bool

    def embed(self, items: Items) -> State: ...

    def run(self, state: State, start: int, stop: int) -> State: ...

    def pool(self, state: State) -> Float[Tensor, "U F"]: ...

    def settle(self, pooled: Float[Tensor, "U F"]) -> Float[Tensor, "U F"]: ...

    def final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U F"]) -> Float[Tensor, "U D"]: ...


def _every_rate_alike(name: str) -> float:
    return 1.0


def _from_the_start(name: str) -> float:
    return 0.0


@runtime_checkable
class Memory(Protocol):
    """What a strategy has to remember from step to step, beside parameters and buffers."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Reading(Protocol):
    """A network of its own that reads what frozen layers say, in place of changing them: `taps` are the layers whose
    output it reads, 0 being the embeddings, in ascending order. Also an `nn.Module`; all of it trains."""

    taps: Sequence[int]


@runtime_checkable
class TokenReading(Reading, Protocol):
    """Reads token by token: states of a text's tokens at each tap -> what stands for the last layer's output."""

    def tokens(self, states: Float[Tensor, "L W"], runs: Sequence[Run]) -> Float[Tensor, "L D"]: ...


@runtime_checkable
class PooledReading(Reading, Protocol):
    """Reads one pooled vector of a text at each tap -> what stands for the last layer's pooled vector. `pooled_by` says
    how they were pooled, for whoever opens it elsewhere; None: in no way that has a name."""

    def pooled(self, states: Float[Tensor, "U W"]) -> Float[Tensor, "U F"]: ...

    def pooled_by(self, kind: str | None) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a strategy decided about a pretrained module, after it injected what it wanted.

    trains: by parameter name (within the pretrained module). lr_scale: factor on the learning rate, by parameter name.
    starts: share of all optimizer steps before which a parameter stays as it is. regulariser: added to the loss.
    after_step: called after each optimizer step, before its gradients are gone, with the number of steps made and of
    all steps. memory: what of this has to stand in a checkpoint. adapter: peft's own view of the changed model, which
    saves it in peft's format; None where nothing was injected. reading: a network beside the model.
    """

    identity: Identity
    trains: Callable[[str], bool]
    lr_scale: Callable[[str], float] = _every_rate_alike
    starts: Callable[[str], float] = _from_the_start
    regulariser: Callable[[], Tensor] | None = None
    after_step: Callable[[int, int], None] | None = None
    memory: Memory | None = None
    adapter: nn.Module | None = None
    reading: TokenReading | PooledReading | None = None


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

    def queries(self, rows: Shaped[Tensor, "B T *rest"]) -> Shaped[Tensor, "Q *rest"]:
        """The rows that are asked. Where all are, this is a view: picking copies, and adds up gradients in its own
        order."""
        return rows.flatten(0, 1) if bool(self.mask.all()) else rows[self.mask]


@dataclass
class Pool:
    """C candidates as a head wants them: made ready once for a training step or a catalogue, then scored by block."""

    vectors: Float[Tensor, "C D"]
    prior: Float[Tensor, " C"]

    def block(self, start: int, stop: int) -> "Pool":
        """Candidates start .. stop."""
        return Pool(self.vectors[start:stop], self.prior[start:stop])


@runtime_checkable
class Head(Protocol):
    """Interests and candidates -> scores of the Q valid queries. Also an `nn.Module`.

    scores = sum over nodes of contributions, plus prior. Vectors arrive centred. A user's scores depend on nothing of
    another user.
    """

    def pool(self, vectors: Float[Tensor, "C D"], ids: Int[Tensor, " C"]) -> Pool: ...

    def scores(self, asked: Asked, pool: Pool) -> Float[Tensor, "Q C"]: ...

    def contributions(self, asked: Asked, vectors: Float[Tensor, "C D"]) -> Float[Tensor, "Q V C"]: ...

    def prior(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]: ...


@runtime_checkable
class Loss(Protocol):
    """A sum over queries, so that it can be taken over some of them at a time; divided by the sum of their `weight`.
    Also an `nn.Module`.

    Called with scores of Q queries against all C candidates, to which `addend` has been added, and the answers. log_q:
    log of the probability that sampling made an item a candidate.
    """

    def __call__(self, scores: Float[Tensor, "Q C"], targets: Targets) -> Float[Tensor, ""]: ...

    def addend(self, log_q: Float[Tensor, " C"]) -> Float[Tensor, " C"]: ...

    def weight(self, targets: Targets) -> Float[Tensor, ""]: ...


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
