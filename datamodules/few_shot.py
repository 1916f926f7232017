"""Few labels: which of a split's training events a run may learn from.

A label is a training event. Everything that is fitted on interactions (targets, item counts and with them
popularity, priors and log-q, the vocabulary of behaviours, the scale of strengths) sees the events that are left, and
no other. Where labels are of some users, validation asks these users alone: an answer that chooses an epoch or a
setting is a label too (Perez et al. 2021, "True Few-Shot Learning with Language Models"). The test stays as it was: all
users are asked the same, each with the whole history before the question. That history is what a model is given to read
at the moment of asking, an input and not a label: nothing is fitted on it.

Labels are kept as the beginning of a user's training events, so that they follow one another without a gap, as models
of sequences need them.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from datamodules.corpus import DataError
from datamodules.preparing.prepared import Prepared, Split


@runtime_checkable
class FewShot(Protocol):
    """A rule: the split with fewer training events, validation of users that have any, and the same test."""

    def __call__(self, prepared: Prepared, split: Split) -> Split: ...


@dataclass(frozen=True)
class FewUsers:
    """Labels of `users` users, all training events of each, and none of the others.

    Users are counted among those that have training events, in a random order that `draw` alone decides: with the same
    draw, fewer users are among more users (see also `ShareOfUsers`). The run's seed plays no part, so that seeds
    0, 1, 2 of a run share their labels and differ by training alone; `datamodule.few_shot.draw=${seed}` lets each seed
    have labels of its own, whose spread then includes the choice of users.

    Raises `ValueError` for less than 1 user, and when called for more users than there are.
    """

    users: int
    draw: int = 0

    def __post_init__(self) -> None:
        if self.users < 1:
            raise ValueError(f"few_shot.users is {self.users}; training needs the labels of at least 1 user")
        _require_draw(self.draw)

    def __call__(self, prepared: Prepared, split: Split) -> Split:
        """Raises `DataError` where the split has not so many users."""
        order = _drawn(prepared, split, self.draw)
        if self.users > len(order):
            raise DataError(
                f"few_shot.users is {self.users:,}, and {prepared.name!r} has {len(order):,} users with training "
                "events; ask for fewer, or leave few_shot out to train on all"
            )
        return _only(prepared, split, order[: self.users])


@dataclass(frozen=True)
class ShareOfUsers:
    """Labels of a share of the users, in (0, 1], rounded to whole users, and of at least one.

    The order is that of `FewUsers`: the users of 1% are among those of 5%, and 5% of 400 users are `FewUsers(20)`.
    Raises `ValueError` for a share outside of (0, 1].
    """

    share: float
    draw: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"few_shot.share is {self.share}; a share of the users lies above 0 and is at most 1")
        _require_draw(self.draw)

    def __call__(self, prepared: Prepared, split: Split) -> Split:
        order = _drawn(prepared, split, self.draw)
        return _only(prepared, split, order[: max(1, round(self.share * len(order)))])


@dataclass(frozen=True)
class FewEvents:
    """The first `events` training events of each user; users with fewer keep what they have.

    These are the labels that a service has when everybody has just arrived. Under the objectives `next` and `last` the
    first of them has nothing before it, so k events make k - 1 targets, and k = 1 leaves something to count and nothing
    to ask. Nothing is drawn: fewer events are the beginning of more.

    The first and not the last: a split's training events are a beginning of the history as well, so a window of
    training begins where the user began. The last k would stand nearer to the question; where tastes drift, part of
    what fewer labels cost is their age. Raises `ValueError` for less than 1 event.
    """

    events: int

    def __post_init__(self) -> None:
        if self.events < 1:
            raise ValueError(f"few_shot.events is {self.events}; at least 1 training event of each user is kept")

    def __call__(self, prepared: Prepared, split: Split) -> Split:
        return replace(split, train_stop=np.minimum(split.train_stop, prepared.offsets[:-1] + self.events))


def _require_draw(draw: int) -> None:
    if draw < 0:
        raise ValueError(f"few_shot.draw is {draw}; it seeds the choice of users and is a whole number from 0 on")


def _drawn(prepared: Prepared, split: Split, draw: int) -> np.ndarray:
    """Users with training events, in the random order of a draw."""
    order = np.random.default_rng(draw).permutation(len(split.train_stop))
    return order[split.train_stop[order] > prepared.offsets[order]]


def _only(prepared: Prepared, split: Split, users: np.ndarray) -> Split:
    stop = np.array(prepared.offsets[:-1])
    stop[users] = split.train_stop[users]
    chosen = np.zeros(len(stop), dtype=bool)
    chosen[users] = True
    return replace(split, train_stop=stop, queries=split.queries | {"valid": split.queries["valid"].of_users(chosen)})
