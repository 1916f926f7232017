"""An explanation in words and numbers: what the console, the JSON file and the figure show."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from datamodules.interest_datamodule import InterestDataModule
from experiments.asking.answers import Answer
from experiments.asking.catalogue import Catalogue
from experiments.asking.questions import one_user
from experiments.explaining.groups import groups
from lightning_modules.explanation import Explanation, Meaning, explain, require_sum
from lightning_modules.recommender import Recommender
from lightning_modules.types import Events

MEANINGS: dict[Meaning, str] = {
    "event": "An interest is an event's own vector.",
    "context": (
        "An interest is an event in its context: its vector has taken in those of related events, so what it gives "
        "to an item comes in part from them."
    ),
    "state": (
        "The one interest that counts is the history as a whole, as the last event's contextual vector holds it; its "
        "contribution cannot be divided among the events."
    ),
}


@dataclass(frozen=True)
class PastEvent:
    """One event of the history; item is the corpus's key. behaviour: "" where unknown. time: seconds since 1970."""

    item: str
    title: str
    behaviour: str
    time: float | None


@dataclass(frozen=True)
class Interest:
    """An interest node. event: place in the history of the event that it stands for, None for none. weight: now.

    group: interests of one number are alike; for the eye alone, the model knows no groups.
    """

    event: int | None
    title: str
    weight: float
    group: int


@dataclass(frozen=True)
class Edge:
    """Two events, by place in the history, whose cosine exceeds the model's tau."""

    earlier: int
    later: int
    cosine: float


@dataclass(frozen=True)
class Reason:
    """A recommended item and what each interest, in order, gave to it: prior + sum(contributions) = score."""

    place: int
    item: str
    title: str
    score: float
    prior: float
    contributions: tuple[float, ...]


@dataclass(frozen=True)
class Record:
    """Why one user gets these items. timeline[h][v]: weight of interest v when event h had just happened. tau: None
    where the model has no threshold, and so no graph. unseen: events before the model's window. unknown: items of a
    typed history that the corpus lacks."""

    run: str
    user: str
    meaning: str
    tau: float | None
    unseen: int
    unknown: tuple[str, ...]
    events: tuple[PastEvent, ...]
    interests: tuple[Interest, ...]
    timeline: tuple[tuple[float, ...], ...]
    edges: tuple[Edge, ...]
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Record":
        """What `to_json` gave, also after a file."""
        return cls(
            **record
            | {
                "unknown": tuple(record["unknown"]),
                "events": tuple(PastEvent(**event) for event in record["events"]),
                "interests": tuple(Interest(**interest) for interest in record["interests"]),
                "timeline": tuple(map(tuple, record["timeline"])),
                "edges": tuple(Edge(**edge) for edge in record["edges"]),
                "reasons": tuple(
                    Reason(**reason | {"contributions": tuple(reason["contributions"])}) for reason in record["reasons"]
                ),
            }
        )


def make_record(
    run: str, model: Recommender, vectors: Tensor, data: InterestDataModule, catalogue: Catalogue, answered: Answer
) -> Record:
    """Explain an answer. vectors: of all text rows, centred, as `Recommender.calibrate` returns them.

    Raises `ArithmeticError` where contributions do not add up to the recommended scores.
    """
    events, queries = one_user(answered.block, answered.row)
    found = explain(model, vectors, events, queries, answered.ids)
    require_sum(found.contributions, found.prior, answered.ranking.top_scores[answered.row, : len(answered.ids)])
    past = _past(events, data, catalogue, answered.timed)
    return Record(
        run=run,
        user=answered.user,
        meaning=MEANINGS[found.meaning],
        tau=found.tau,
        unseen=int((answered.block.seen[0] == answered.row).sum()) - len(past),
        unknown=answered.unknown,
        events=past,
        interests=_interests(found, past),
        timeline=tuple(map(tuple, found.timeline.tolist())),
        edges=tuple(Edge(i, j, float(found.event_cosine[j, i])) for i, j in found.edges().tolist()),
        reasons=_reasons(found, answered),
    )


def _past(events: Events, data: InterestDataModule, catalogue: Catalogue, timed: bool) -> tuple[PastEvent, ...]:
    length = int(events.mask.sum())
    items = data.item_of_row[events.slot[0, :length]].tolist()
    behaviours = [data.log.behaviours[number] for number in events.behaviour[0, :length].tolist()]
    times = events.time[0, :length].tolist() if timed and events.time is not None else [None] * length
    keys, titles = data.prepared.item_keys, catalogue.titles
    return tuple(
        PastEvent(keys[item], titles[item], behaviour, time)
        for item, behaviour, time in zip(items, behaviours, times, strict=True)
    )


def _interests(found: Explanation, past: tuple[PastEvent, ...]) -> tuple[Interest, ...]:
    numbers = groups(found.node_cosine.numpy())
    rows = zip(found.owner.tolist(), found.weights.tolist(), numbers, strict=True)
    up_to = "until " if found.meaning == "state" else ""
    return tuple(
        Interest(None, f"learned interest {place}", weight, group)
        if owner < 0
        else Interest(owner, up_to + past[owner].title, weight, group)
        for place, (owner, weight, group) in enumerate(rows, start=1)
    )


def _reasons(found: Explanation, answered: Answer) -> tuple[Reason, ...]:
    columns = zip(answered.recommended, found.prior.tolist(), found.contributions.T.tolist(), strict=True)
    return tuple(Reason(one.place, one.item, one.title, one.score, prior, tuple(gave)) for one, prior, gave in columns)
