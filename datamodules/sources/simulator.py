"""A world whose interests are known, so that a model can be held against the best that any model could do.

There are no raw files. One event, as a log would have it (user, item, seconds since 1970, behaviour, dwell in seconds):

    u17  i204  1703912345.6  watch  171.3

Licence: the generated data are free of any.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from datamodules.corpus import Corpus, Truth
from datamodules.reading.tables import assemble, interaction_table, item_table
from datamodules.simulation.catalogue import make_catalogue
from datamodules.simulation.stream import BEHAVIOURS, Habits, make_stream
from datamodules.simulation.words import TOPICS


@dataclass(frozen=True)
class SimulatorSource:
    """Users whose interests drift, items whose text tells their topic; strength = dwell in seconds.

    users, items: how many. interests: K, one topic of everyday life each. events: mean per user, at least 6; a user
    never has an item twice. focus: deviation of the K logits (0 likes all topics alike, 4 has one to three interests).
    drift: days until interests have lost 63% of themselves. jump: probability that a visit begins with new interests.
    background: share of events drawn by popularity alone. skew: Zipf exponent within a topic. cold: share of items that
    appear between each user's last two events and those before, so that by leave-one-out no training event has them.

    Truth: K + 1 rows; the last is the background. mixture[r] @ topics is p(item) for interaction r *before* the items
    that the user had, or that had not appeared yet, are taken out. For the last two events of a user all items are
    there: ranking by it with the history masked is then optimal for HR, and for every metric that falls with the rank.
    At earlier events a cold item gets a probability that only holds from the launch on.
    """

    users: int = 400
    items: int = 300
    interests: int = 12
    events: int = 25
    focus: float = 4.0
    drift: float = 90.0
    jump: float = 0.03
    background: float = 0.1
    skew: float = 0.8
    cold: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "users": (1, 10**8),
            "items": (20, 10**7),
            "interests": (2, len(TOPICS)),
            "cold": (0, 0.5),
            "events": (6, self.items * (1 - self.cold) // 2),
            "focus": (0, 20),
            "drift": (1e-6, 1e6),
            "jump": (0, 1),
            "background": (0, 1),
            "skew": (0, 5),
            "seed": (0, 2**63),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"simulator: {name} is {value}, expected {low:g} to {high:g}{HINTS.get(name, '')}")

    def files(self) -> tuple[Path, ...]:
        """None: the settings are the data."""
        return ()

    def load(self) -> Corpus:
        """Generate the world; equal settings give equal worlds."""
        rng = np.random.default_rng(self.seed)
        catalogue = make_catalogue(rng, self.items, self.interests, self.skew, self.cold)
        habits = Habits(self.events, self.focus, self.drift, self.jump, self.background)
        stream = make_stream(rng, catalogue, self.users, habits)
        interactions = interaction_table(
            _keys("u", stream.user),
            _keys("i", stream.item),
            time=pa.array(stream.time),
            behaviour=pa.array(BEHAVIOURS).take(pa.array(stream.behaviour)),
            strength=pa.array(stream.dwell),
            file="simulator",
            line=pa.array(np.arange(1, len(stream.user) + 1)),
        )
        text = {"title": pa.array(catalogue.titles), "description": pa.array(catalogue.descriptions)}
        numbers = np.arange(self.items)
        items = item_table(_keys("i", numbers), text, "simulator", pa.array(numbers + 1))
        truth = Truth(stream.mixture, catalogue.topics)
        return assemble("simulator", Path(), interactions, items, tuple(text), truth)


HINTS = {
    "events": " (at most half of the items that are there from the start); ask for more items or fewer events",
    "interests": ", as many as there are topics",
}


def _keys(prefix: str, numbers: np.ndarray) -> pa.Array:
    names = pa.array([f"{prefix}{number}" for number in range(int(numbers.max()) + 1)])
    return names.take(pa.array(numbers))
