"""Users of the corpus and histories typed by hand, as the blocks of queries that evaluation ranks as well.

A block has the shape that it has in evaluation, so a user of the corpus, a stranger with the same history, and the same
user among others get the same scores, bit for bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np

from datamodules.batching.log import EventLog, known_behaviours, standardised, training_mask
from datamodules.batching.query_blocks import QueryBlocks, group_queries
from datamodules.corpus import DataError
from datamodules.interest_datamodule import InterestDataModule
from datamodules.preparing.prepared import QuerySet
from datamodules.types import Events, Queries, QueryBlock
from experiments.asking.history import History

STRANGER = -1
"""User id of somebody whom the corpus does not know."""


@dataclass(frozen=True)
class Questions:
    """What to recommend to whom: one query for each user.

    users: keys, or names of histories. unknown: items that a history gave and the corpus lacks. timed: whether events
    have times. now: the moment of asking in seconds, None for the time of each user's last event.
    """

    users: tuple[str, ...]
    blocks: QueryBlocks
    unknown: tuple[tuple[str, ...], ...]
    timed: bool
    strangers: bool
    now: float | None = None

    def at(self, now: float) -> "Questions":
        """The same asked at `now`. Raises `ValueError` where events have no times, or one is later."""
        if not self.timed or self.blocks.log.time is None:
            raise ValueError("a moment of asking means nothing without times of the events; leave out now")
        latest = float(self.blocks.log.time[self.blocks.queries.stop - 1].max())
        if now < latest:
            raise ValueError(f"now is {now:.0f}, before the last event of a history at {latest:.0f}")
        return replace(self, now=now)

    def __iter__(self) -> Iterator[QueryBlock]:
        """Blocks; `query` numbers the users."""
        for block in self.blocks:
            if self.strangers:
                block.events.user.fill_(STRANGER)
            if self.now is not None and block.queries.time is not None:
                block.queries.time.fill_(self.now)
            yield block


def of_users(data: InterestDataModule, keys: Sequence[str]) -> Questions:
    """Users of the corpus, with everything that it knows of them. Raises `DataError` for an unknown one.

    In simulated data the interests behind a user's last event come along, for the oracle.
    """
    number = {key: user for user, key in enumerate(data.prepared.users)}
    for key in keys:
        if key not in number:
            near = get_close_matches(key, number, n=3)
            hint = f"; near are {', '.join(near)}" if near else f"; keys look like {', '.join(list(number)[:3])}"
            raise DataError(f"user {key!r} is not in {data.prepared.name}, which has {len(number):,} users{hint}")
    user = np.array([number[key] for key in keys], dtype=np.int64)
    stop = data.log.offsets[user + 1]
    truth = data.prepared.truth
    mixture = None if truth is None else np.asarray(truth.mixture)[data.prepared.row[stop - 1]]
    blocks = _blocks(data, data.log, user, stop, mixture)
    return Questions(tuple(keys), blocks, ((),) * len(keys), data.log.time is not None, strangers=False)


def of_histories(data: InterestDataModule, histories: Sequence[History]) -> Questions:
    """People whom the corpus need not know. Raises `ValueError` where some histories have times and others none."""
    timed = {event.time is not None for history in histories for event in history.events}
    if len(timed) > 1:
        raise ValueError("some histories have times and others none; ask for them one after the other")
    log = _log_of(data, histories)
    users = np.arange(len(histories), dtype=np.int64)
    return Questions(
        tuple(history.user for history in histories),
        _blocks(data, log, users, log.offsets[1:], None),
        tuple(history.unknown for history in histories),
        timed == {True} and log.time is not None,
        strangers=True,
    )


def _blocks(
    data: InterestDataModule, log: EventLog, user: np.ndarray, stop: np.ndarray, truth: np.ndarray | None
) -> QueryBlocks:
    nothing = np.zeros(0, dtype=np.int64)
    time = None if log.time is None else log.time[stop - 1]
    queries = QuerySet(user, stop, time, np.zeros(len(user) + 1, dtype=np.int64), nothing)
    length = data.objective.history_length
    members = group_queries(log, queries, length, sample=None)
    return QueryBlocks(log, queries, data.row, length, members, truth)


def _log_of(data: InterestDataModule, histories: Sequence[History]) -> EventLog:
    """Given events in the terms of the corpus: what was fitted on its training events is applied, not fitted anew.

    Without times all events happened at one moment, so that their order alone makes them old.
    """
    events = [event for history in histories for event in history.events]
    offsets = np.cumsum([0, *(len(history.events) for history in histories)])
    corpus, log = data.prepared, data.log
    train = np.append(training_mask(log.offsets, log.train_stop), np.zeros(len(events), dtype=bool))
    behaviour = np.append(corpus.behaviour, np.array([event.behaviour for event in events], dtype=np.int16))
    strength = np.append(corpus.strength, np.array([event.strength for event in events], dtype=np.float32))
    time = None if log.time is None else np.array([event.time or 0.0 for event in events])
    given = slice(len(log.item), None)
    return EventLog(
        offsets=offsets,
        train_stop=offsets[1:],
        item=np.array([event.item for event in events], dtype=log.item.dtype),
        behaviour=known_behaviours(behaviour, train)[given],
        strength=standardised(strength, train)[given],
        time=time,
        n_items=log.n_items,
        behaviours=log.behaviours,
    )


def one_user(block: QueryBlock, row: int) -> tuple[Events, Queries]:
    """Events and query of one row of a block. A batch of one may round otherwise in the last digit."""
    events, queries, mine = block.events, block.queries, slice(row, row + 1)
    return Events(
        user=events.user[mine],
        slot=events.slot[mine],
        mask=events.mask[mine],
        behaviour=events.behaviour[mine],
        strength=events.strength[mine],
        time=None if events.time is None else events.time[mine],
    ), Queries(
        position=queries.position[mine],
        mask=queries.mask[mine],
        time=None if queries.time is None else queries.time[mine],
    )
