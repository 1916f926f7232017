"""A history that a person gives: items, and perhaps what was done with them and when."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from datamodules.corpus import DataError
from experiments.asking.catalogue import Catalogue

NAMELESS = "somebody new"
"""Whom a history belongs to where nobody says."""


@dataclass(frozen=True)
class Event:
    """item and behaviour as ids of the prepared corpus (behaviour 0 is unknown); seconds since 1970; NaN is unknown."""

    item: int
    behaviour: int
    time: float | None = None
    strength: float = math.nan


@dataclass(frozen=True)
class History:
    """Events in time order of somebody whom the corpus need not know. unknown: items that were given and left out."""

    user: str
    events: tuple[Event, ...]
    unknown: tuple[str, ...] = ()


def of_keys(keys: Sequence[str], catalogue: Catalogue, user: str = NAMELESS) -> History:
    """A history of item ids, oldest first. Raises `DataError` where there are none, or none is known."""
    known, unknown = catalogue.by_key(keys)
    behaviour = usual_behaviour(catalogue)
    return History(user, tuple(Event(item, behaviour) for item in known), tuple(unknown))


def of_titles(titles: Sequence[str], catalogue: Catalogue, user: str = NAMELESS) -> History:
    """A history of titles, oldest first. Raises `DataError` for a title that means no item, or several."""
    if not titles:
        raise DataError("the history is empty; name at least one title")
    behaviour = usual_behaviour(catalogue)
    return History(user, tuple(Event(catalogue.by_title(title), behaviour) for title in titles))


def usual_behaviour(catalogue: Catalogue) -> int:
    """What an event is where nobody says: the corpus's one behaviour, or unknown where it has several."""
    return 1 if len(catalogue.prepared.behaviours) == 2 else 0
