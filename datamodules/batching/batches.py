"""Examples to batches: which users share a step, and the index arrays of one step."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datamodules.batching.examples import CandidateSampler, Examples
from datamodules.batching.log import EventLog
from datamodules.types import Batch, Candidates, Items, Targets


def step_order(lengths: np.ndarray, users_per_step: int, seed: int, epoch: int, world: int) -> list[np.ndarray]:
    """Groups of examples with similar length, in random order: a function of (seed, epoch) and nothing else.

    Lengths are jittered by up to a quarter before sorting, so that groups differ between epochs. The list is filled up
    to a multiple of `world` by repeating it from its first group on, so that all ranks make equally many steps.
    """
    rng = np.random.default_rng([seed, epoch])
    jittered = lengths * rng.uniform(0.75, 1.25, size=len(lengths))
    order = np.lexsort([rng.random(len(lengths)), jittered])
    groups = [order[i : i + users_per_step] for i in range(0, len(order), users_per_step)]
    shuffled = [groups[i] for i in rng.permutation(len(groups))]
    return shuffled + [shuffled[i % len(shuffled)] for i in range(-len(shuffled) % world)]


@dataclass(frozen=True)
class Collator:
    """Builds the batch of a step from example numbers.

    items: rows of the text table -> Items. row: (behaviour, item) -> the row that a history event reads.
    """

    log: EventLog
    examples: Examples
    row: np.ndarray
    sampler: CandidateSampler
    counts: np.ndarray
    items: Callable[[np.ndarray], Items]

    def __call__(self, members: np.ndarray, rng: np.random.Generator) -> Batch:
        """members: numbers of the examples. Every distinct text stands in `items` once.

        Raises `ValueError` where the sampler gives an item twice, or not in order.
        """
        window, mask = windows(self.examples.start[members], self.examples.stop[members])
        query, query_mask = windows(self.examples.offsets[members], self.examples.offsets[members + 1])
        position = np.where(query_mask, self.examples.position[query], 0)
        target = self.examples.target[query[query_mask]]
        answers = self.log.item[target].astype(np.int64)
        history = self.log.history_rows(window, self.row)
        touched = np.union1d(window[mask], target)  # events; most are history of one query and answer of another
        seen = np.unique(self.log.item[touched]).astype(np.int64)
        ids, log_q = self.sampler(seen, len(touched), self.counts, rng)
        if (np.diff(ids) <= 0).any():
            raise ValueError(f"{type(self.sampler).__name__} returned candidates that do not ascend: {ids[:8]}...")
        distinct = np.union1d(history[mask], ids)
        return Batch(
            items=self.items(distinct),
            events=self.log.events(window, mask, np.searchsorted(distinct, history), self.examples.user[members]),
            queries=self.log.queries(window, position, query_mask),
            candidates=Candidates(_long(np.searchsorted(distinct, ids)), torch.from_numpy(log_q).float()),
            targets=Targets(_long(np.searchsorted(ids, answers)), torch.ones(len(answers))),
        )


def windows(start: np.ndarray, stop: np.ndarray, width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(M, width) indices start..stop padded on the right with their first index, and the mask of the true ones."""
    width = int((stop - start).max()) if width is None else width
    index = start[:, None] + np.arange(width)
    mask = index < stop[:, None]
    return np.where(mask, index, start[:, None]), mask


def _long(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
