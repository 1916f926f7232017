"""The items of the simulated world: what they are about, how they are described, how each interest picks among them."""

from dataclasses import dataclass

import numpy as np

from datamodules.simulation.words import OPENINGS, QUALITIES, TITLES, TOPICS

MIXED = 0.25
"""Share of items that belong to two topics."""
SMALL_WORDS = {
    "a",
    "an",
    "and",
    "at",
    "before",
    "by",
    "for",
    "in",
    "of",
    "on",
    "off",
    "several",
    "the",
    "to",
    "up",
    "with",
}


@dataclass(frozen=True)
class Catalogue:
    """Items as columns.

    affinity: (N, K), how much of each topic an item has; rows sum to one. cold: (N,), not there before the launch.
    topics: (K + 1, N), p(item | interest): row k < K is interest k, row K what everybody comes across.
    """

    titles: list[str]
    descriptions: list[str]
    affinity: np.ndarray
    cold: np.ndarray
    topics: np.ndarray


def make_catalogue(rng: np.random.Generator, items: int, interests: int, skew: float, cold: float) -> Catalogue:
    """Draw a catalogue. Within a topic the r-th best item has weight r ** -skew (Zipf); better items are described as
    such, up to noise."""
    primary = rng.permutation(np.arange(items) % interests)
    secondary = (primary + rng.integers(1, interests, items)) % interests
    second_share = np.where(rng.random(items) < MIXED, rng.uniform(0.25, 0.5, items), 0.0)
    affinity = np.zeros((items, interests))
    affinity[np.arange(items), primary] = 1 - second_share
    affinity[np.arange(items), secondary] += second_share
    appeal = rng.normal(size=items)
    weight = _zipf(primary, appeal, skew)
    quality = _fifths(appeal + rng.normal(scale=0.5, size=items))
    titles, descriptions = _write(rng, primary, np.where(second_share > 0, secondary, -1), quality)
    topics = np.vstack([(affinity * weight[:, None]).T, weight])
    is_cold = np.zeros(items, dtype=bool)
    is_cold[rng.permutation(items)[: round(cold * items)]] = True
    return Catalogue(titles, descriptions, affinity, is_cold, topics / topics.sum(axis=1, keepdims=True))


def _zipf(group: np.ndarray, appeal: np.ndarray, skew: float) -> np.ndarray:
    """Weights rank ** -skew within each group, ranks from 1 by falling appeal."""
    weight = np.empty(len(group))
    for key in np.unique(group):
        members = np.flatnonzero(group == key)
        best_first = members[np.argsort(-appeal[members])]
        weight[best_first] = np.arange(1, len(members) + 1) ** -skew
    return weight


def _fifths(values: np.ndarray) -> np.ndarray:
    """0 for the lowest fifth to 4 for the highest."""
    return np.argsort(np.argsort(values)) * len(QUALITIES) // len(values)


def _write(
    rng: np.random.Generator, primary: np.ndarray, secondary: np.ndarray, quality: np.ndarray
) -> tuple[list[str], list[str]]:
    """A title and a description for each item; titles that come again are numbered as parts."""
    titles: list[str] = []
    descriptions: list[str] = []
    used: dict[str, int] = {}
    picks = rng.integers(0, 1 << 30, size=(len(primary), 6))
    for first, second, level, pick in zip(primary, secondary, quality, picks.tolist(), strict=True):
        activity, subject = _subject(int(first), int(second), pick)
        title = _choose(TITLES, pick[2]).format(_capitalise(activity))
        used[title] = used.get(title, 0) + 1
        titles.append(title if used[title] == 1 else f"{title}, Part {used[title]}")
        opening = _choose(OPENINGS, pick[3]).format(subject)
        details = _choose(TOPICS[first].details, pick[4])
        descriptions.append(f"{opening}, with a look at {details}. {QUALITIES[level]}")
    return titles, descriptions


def _subject(first: int, second: int, pick: list[int]) -> tuple[str, str]:
    """What the title names, and what the description says: the latter has both topics of an item that has two."""
    activity = _choose(TOPICS[first].activities, pick[0])
    if second < 0:
        return activity, activity
    return activity, f"{activity} and {_choose(TOPICS[second].activities, pick[1])}"


def _choose(options: tuple[str, ...], pick: int) -> str:
    return options[pick % len(options)]


def _capitalise(phrase: str) -> str:
    words = phrase.split()
    return " ".join(word if i and word in SMALL_WORDS else word[0].upper() + word[1:] for i, word in enumerate(words))
