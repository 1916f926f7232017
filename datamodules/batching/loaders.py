"""Loaders that can be stopped anywhere and go on.

A step is a function of (seed, epoch, step number): the sampler yields these numbers, the data set builds the batch, so
workers hold no state and a resumed run sees the very batches that it would have seen.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.batching.ahead import pinned, read_ahead
from datamodules.batching.batches import Collator, step_order
from datamodules.batching.query_blocks import QueryBlocks
from datamodules.types import Batch, QueryBlock


class TrainingSteps(Dataset[Batch]):
    """Batches by (epoch, step)."""

    def __init__(self, collator: Collator, users_per_step: int, seed: int, world: int) -> None:
        self.collator, self.users_per_step, self.seed, self.world = collator, users_per_step, seed, world
        self.lengths = collator.examples.stop - collator.examples.start
        self._epoch, self._order = -1, step_order(self.lengths, users_per_step, seed, 0, world)

    def __len__(self) -> int:
        """Steps of an epoch, over all ranks."""
        return len(self._order)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, step = key
        if epoch != self._epoch:
            self._order = step_order(self.lengths, self.users_per_step, self.seed, epoch, self.world)
            self._epoch = epoch
        return self.collator(self._order[step], np.random.default_rng([self.seed, epoch, step]))


class StepSampler(Sampler[tuple[int, int]]):
    """(epoch, step) of this rank: every world-th step, from `first` on once and from the beginning afterwards."""

    def __init__(self, steps: int, rank: int, world: int) -> None:
        self.steps, self.rank, self.world = steps, rank, world
        self.epoch, self.first = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps // self.world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        first, self.first = self.first, 0
        for k in range(first, len(self)):
            yield self.epoch, k * self.world + self.rank


class ResumableLoader(DataLoader[Batch]):
    """A loader that says how many batches of the epoch it gave, and starts after as many when told so.

    for_gpu: batches are read ahead by a thread, into memory from which a GPU copies while it computes. On a CPU the
    thread would take time from the threads that compute.
    """

    def __init__(self, steps: TrainingSteps, rank: int, world: int, num_workers: int, for_gpu: bool) -> None:
        self.given, self.for_gpu = 0, for_gpu
        super().__init__(
            steps,
            batch_size=None,
            sampler=StepSampler(len(steps), rank, world),
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # a generator serves the trainer as well
        self.given = self.sampler.first  # type: ignore[attr-defined]
        batches: Iterator[Batch] = super().__iter__()
        for batch in read_ahead(map(pinned, batches)) if self.for_gpu else batches:
            self.given += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the running epoch were given; a full epoch counts as none of the next."""
        return {"given": self.given % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next pass starts after as many batches."""
        self.sampler.first = state["given"]  # type: ignore[attr-defined]


class RankBlocks(Sampler[int]):
    """Whole blocks, every world-th one for this rank; nothing is repeated to even them out.

    Only a rank for which none is left ranks the first block as well: Lightning refuses a rank without batches, and the
    others would wait for it. Each query counts once all the same.
    """

    def __init__(self, blocks: int, rank: int, world: int) -> None:
        self.mine = range(rank, blocks, world) or range(min(blocks, 1))

    def __len__(self) -> int:
        return len(self.mine)

    def __iter__(self) -> Iterator[int]:
        return iter(self.mine)


def block_loader(blocks: QueryBlocks, rank: int, world: int, num_workers: int) -> DataLoader[QueryBlock]:
    """Evaluation blocks of one rank, in their order."""
    return DataLoader(blocks, batch_size=None, sampler=RankBlocks(len(blocks), rank, world), num_workers=num_workers)
