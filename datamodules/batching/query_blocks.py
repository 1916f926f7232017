"""Evaluation queries in blocks whose shape and order no user setting changes (law 1).

A floating-point product may differ in its last bit between shapes, and a last bit can flip a rank. So a query's history
is padded to the first of a fixed ladder of lengths that holds it, every block has BLOCK users, and processes share
whole blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from datamodules.batching.batches import windows
from datamodules.batching.log import EventLog
from datamodules.preparing.prepared import QuerySet
from datamodules.types import QueryBlock

BLOCK = 64


@dataclass(frozen=True)
class QueryBlocks(Dataset[QueryBlock]):
    """The queries of one split as a list of blocks; block k is the same whoever asks for it.

    truth: (queries, K) latent interests where the data is simulated. members: query numbers of each block, all of one
    width.
    """

    log: EventLog
    queries: QuerySet
    row: np.ndarray
    history_length: int
    members: tuple[np.ndarray, ...]
    truth: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> QueryBlock:
        if index >= len(self.members):
            raise IndexError(index)
        return self.block(self.members[index])

    def __iter__(self) -> Iterator[QueryBlock]:
        return (self[index] for index in range(len(self)))

    def block(self, members: np.ndarray) -> QueryBlock:
        """The block of the given queries, filled up with copies of the first one under number -1."""
        chosen = np.concatenate([members, np.full(BLOCK - len(members), members[0])])
        user, stop = self.queries.user[chosen], self.queries.stop[chosen]
        start = np.maximum(stop - self.history_length, self.log.offsets[user])
        window, mask = windows(start, stop, ladder_width(int((stop - start).max()), self.history_length))
        position = (mask.sum(1) - 1)[:, None]
        query = np.where(np.arange(BLOCK) < len(members), chosen, -1)
        return QueryBlock(
            query=torch.from_numpy(query),
            events=self.log.events(window, mask, self.log.history_rows(window, self.row), user),
            queries=self.log.queries(window, position, np.ones_like(position, dtype=bool)),
            positives=torch.from_numpy(self._positives(chosen)),
            seen=torch.from_numpy(self._seen(user, stop)),
            truth=None if self.truth is None else torch.from_numpy(self.truth[chosen]).float(),
        )

    def _positives(self, members: np.ndarray) -> np.ndarray:
        index, mask = windows(self.queries.offsets[members], self.queries.offsets[members + 1])
        return np.where(mask, self.log.item[self.queries.events[np.where(mask, index, 0)]], -1).astype(np.int64)

    def _seen(self, user: np.ndarray, stop: np.ndarray) -> np.ndarray:
        index, mask = windows(self.log.offsets[user], stop)
        block_row = np.broadcast_to(np.arange(len(user))[:, None], mask.shape)[mask]
        return np.stack([block_row, self.log.item[index[mask]].astype(np.int64)])


def ladder_width(length: int, history_length: int) -> int:
    """The first of 8, 16, 32, ... that holds `length`, at most history_length."""
    width = 8
    while width < length:
        width *= 2
    return min(width, history_length)


def group_queries(log: EventLog, queries: QuerySet, history_length: int, sample: int | None) -> tuple[np.ndarray, ...]:
    """Query numbers of each block: queries of one width together, in order of their number.

    sample: rank only so many queries, chosen once and for all by a fixed generator; null ranks every query.
    """
    chosen = np.arange(len(queries.user))
    if sample is not None and sample < len(chosen):
        chosen = np.sort(np.random.default_rng(0).choice(chosen, size=sample, replace=False))
    length = np.minimum(queries.stop[chosen] - log.offsets[queries.user[chosen]], history_length)
    width = np.array([ladder_width(int(n), history_length) for n in length], dtype=np.int64)
    groups = [chosen[width == w] for w in np.unique(width)]
    return tuple(group[i : i + BLOCK] for group in groups for i in range(0, len(group), BLOCK))
