"""Why one user gets these scores: interests, their weights over time, the graph, and what each interest gave.

    score(c) = sum over nodes v of contribution(v, c) + prior(c)

The head computes a score as this very sum, so the explanation is exact and not an approximation fitted afterwards; it
is checked here all the same. Plain torch: it needs a `Recommender` and the vectors that its `calibrate` returns.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from datamodules.types import Events, Queries
from lightning_modules.recommender import Recommender
from lightning_modules.types import Interests

TOLERANCE = 1e-5

Meaning = Literal["event", "context", "state"]
"""What a node stands for. event: the event's own vector. context: the event as seen through others of the history.
state: the history as a whole, since a single contextual node carries all the weight (a transformer's last position)."""


@dataclass
class Explanation:
    """One user's H events, V interest nodes and C candidates.

    owner: the event that a node stands for, -1 for none. weights: now. timeline: row h holds the weights as they stood
    when event h had just happened. event_cosine: of the events' centred vectors; tau: the threshold of the
    interest, else of the head, on it; None where neither cuts. node_cosine: of the nodes. contributions sum over V,
    with the prior, to scores.
    """

    meaning: Meaning
    owner: Int[Tensor, " V"]
    weights: Float[Tensor, " V"]
    timeline: Float[Tensor, "H V"]
    event_cosine: Float[Tensor, "H H"]
    node_cosine: Float[Tensor, "V V"]
    tau: float | None
    candidates: Int[Tensor, " C"]
    contributions: Float[Tensor, "V C"]
    prior: Float[Tensor, " C"]
    scores: Float[Tensor, " C"]

    def edges(self) -> Int[Tensor, "E 2"]:
        """(earlier, later) pairs of events whose cosine exceeds tau; none where nothing cuts."""
        if self.tau is None:
            return torch.empty(0, 2, dtype=torch.long)
        later, earlier = (self.event_cosine > self.tau).tril(-1).nonzero(as_tuple=True)
        return torch.stack([earlier, later], dim=1)


@torch.no_grad()
def explain(
    model: Recommender,
    vectors: Float[Tensor, "R D"],
    events: Events,
    queries: Queries,
    candidates: Int[Tensor, " C"],
) -> Explanation:
    """Explain the scores of `candidates` (catalogue ids) for the one user in `events`, asked once in `queries`.

    vectors: centred, of all rows that slots of `events` point into; the first of them are the catalogue. Raises
    `ValueError` for several users or moments, a user without events, or a model in training mode, and
    `ArithmeticError` where contributions and prior miss a score by more than `TOLERANCE`.
    """
    _require_one(model, events, queries)
    length = int(events.mask.sum())
    asked = model.ask(vectors, events, queries)
    timeline = weights_over_time(model, vectors, events)
    kept = _nodes_in_use(asked.interests, timeline)
    of_events = vectors[events.slot[0, :length]]
    contributions = model.head.contributions(asked, vectors[candidates])[0, kept]
    prior = model.head.prior(candidates)
    scores = model.head.scores(asked, model.head.pool(vectors[candidates], candidates))[0]
    require_sum(contributions, prior, scores)
    cut = next(iter(model.cuts()), None)
    return Explanation(
        meaning=_meaning(asked.interests, kept, of_events),
        owner=asked.interests.owner[0, kept],
        weights=asked.interests.weights[0, 0, kept],
        timeline=timeline[:, kept],
        event_cosine=_cosine(of_events),
        node_cosine=_cosine(asked.interests.nodes[0, kept]),
        tau=None if cut is None else float(cut.tau),
        candidates=candidates,
        contributions=contributions,
        prior=prior,
        scores=scores,
    )


def weights_over_time(model: Recommender, vectors: Float[Tensor, "R D"], events: Events) -> Float[Tensor, "H V"]:
    """w(v|u) as it stood after each of the one user's H events, asked at that event's own time.

    Each moment is posed as a history of its own that ends there, so the rows are right for any interest; for a causal
    one they equal a single pass that asks at every position.
    """
    length = int(events.mask.sum())
    step = torch.arange(length, device=events.slot.device)
    rows = torch.zeros_like(step)
    prefix = Events(
        user=events.user[rows],
        slot=events.slot[rows],
        mask=torch.arange(events.slot.shape[1], device=step.device) <= step[:, None],
        behaviour=events.behaviour[rows],
        strength=events.strength[rows],
        time=None if events.time is None else events.time[rows],
    )
    time = None if events.time is None else events.time[0, :length, None]
    asked = model.ask(vectors, prefix, Queries(step[:, None], torch.ones_like(step[:, None], dtype=torch.bool), time))
    return asked.interests.weights[:, 0]


def require_sum(contributions: Float[Tensor, "V C"], prior: Float[Tensor, " C"], scores: Float[Tensor, " C"]) -> None:
    """Raise `ArithmeticError` unless contributions and prior add up to each score within `TOLERANCE`, relative to the
    score where that is larger than 1 (float32 knows seven digits)."""
    off = (contributions.double().sum(0) + prior.double() - scores.double()).abs()
    bad = off > TOLERANCE * scores.abs().double().clamp(min=1)
    if bad.any():
        worst = int(off.argmax())
        raise ArithmeticError(
            f"contributions of candidate {worst} miss its score {float(scores[worst])} by {float(off[worst]):.2g}, "
            f"more than {TOLERANCE}: contributions() and scores() of the head do not agree"
        )


def _require_one(model: Recommender, events: Events, queries: Queries) -> None:
    if events.slot.shape[0] != 1 or queries.position.shape != (1, 1):
        shape = tuple(queries.position.shape)
        raise ValueError(f"explain takes one user at one moment, not {shape[0]} users at {shape[1]} moments")
    if not events.mask.any():
        raise ValueError("a history without events explains nothing; give at least one")
    if model.training:
        raise ValueError("the model is in training mode, where dropout changes every score; call model.eval() first")


def _nodes_in_use(interests: Interests, timeline: Float[Tensor, "H V"]) -> Int[Tensor, " V2"]:
    """Nodes that stand for an event or ever weigh something: what is left out is padding."""
    return ((interests.owner[0] >= 0) | (timeline > 0).any(0)).nonzero()[:, 0]


def _meaning(interests: Interests, kept: Int[Tensor, " V"], of_events: Float[Tensor, "H D"]) -> Meaning:
    """Read off the numbers, so that it is right for interests that are not yet written."""
    nodes, owner = interests.nodes[0, kept], interests.owner[0, kept]
    if bool((owner >= 0).all()) and torch.allclose(nodes, of_events[owner], atol=1e-6):
        return "event"
    return "state" if float(interests.weights[0, 0].max()) > 1 - 1e-6 else "context"


def _cosine(vectors: Float[Tensor, "V D"]) -> Float[Tensor, "V V"]:
    unit = normalize(vectors, dim=-1)
    return (unit @ unit.T).clamp(-1, 1)
