"""Batches of texts alone, without users, that can be stopped anywhere and go on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from datamodules.batching.loaders import StepSampler
from datamodules.types import Ragged

HELD_OUT_TOKENS = 4096
"""Of a batch of held-out texts, whatever a user sets: what is measured does not depend on the size of a step."""


@dataclass(frozen=True)
class TextBatches:
    """Texts as word pieces, and which of them are held out. tokens_per_step: of a batch at most, padding included; a
    text that is longer makes a batch of its own."""

    tokens: Ragged
    held: np.ndarray
    tokens_per_step: int
    seed: int

    def training(self, rank: int, world: int) -> "TextLoader":
        """The steps of one of `world` processes."""
        return TextLoader(self, rank, world)

    def held_out(self) -> DataLoader[Ragged]:
        """All texts that are held out, in an order that never changes."""
        rows = np.flatnonzero(self.held)
        ordered = rows[np.argsort(self._lengths(rows), kind="stable")]
        batches = [self.take(part) for part in cut_by_tokens(ordered, self._lengths(ordered), HELD_OUT_TOKENS)]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # a list is a data set

    def steps_per_epoch(self, world: int) -> int:
        """Batches that each process gets; the same number in every epoch, since the lengths are."""
        return len(self.order(0, world)) // world

    def order(self, epoch: int, world: int) -> list[np.ndarray]:
        """Rows of each step of an epoch, over all processes: texts of similar length together, in random order, a
        function of (seed, epoch). Filled up to a multiple of `world` by repeating it from its first step on."""
        rng = np.random.default_rng([self.seed, epoch])
        rows = np.flatnonzero(~self.held)
        ordered = rows[np.lexsort([rng.random(len(rows)), self._lengths(rows)])]
        groups = cut_by_tokens(ordered, self._lengths(ordered), self.tokens_per_step)
        shuffled = [groups[i] for i in rng.permutation(len(groups))]
        return shuffled + [shuffled[i % len(shuffled)] for i in range(-len(shuffled) % world)]

    def take(self, rows: np.ndarray) -> Ragged:
        """The texts of a batch."""
        return self.tokens.take(torch.from_numpy(rows))

    def _lengths(self, rows: np.ndarray) -> np.ndarray:
        return self.tokens.lengths().numpy()[rows]


def cut_by_tokens(rows: np.ndarray, lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Consecutive parts of `rows`, whose lengths ascend: each as many as make `tokens` at most when all are as long as
    the longest, and at least one."""
    parts, start = [], 0
    for place, length in enumerate(lengths.tolist()):
        if place > start and (place - start + 1) * length > tokens:
            parts.append(rows[start:place])
            start = place
    return [*parts, rows[start:]]


class TextLoader:
    """Batches of one process, epoch by epoch. It says how many of the epoch it gave, and starts after as many when told
    so. A batch is a slice of memory, so no worker makes it beforehand. The trainer tells `sampler` the epoch."""

    def __init__(self, texts: TextBatches, rank: int, world: int) -> None:
        self.texts, self.world, self.given = texts, world, 0
        self.sampler = StepSampler(len(texts.order(0, world)), rank, world)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Ragged]:
        self.given = self.sampler.first
        order = self.texts.order(self.sampler.epoch, self.world)
        for _, step in self.sampler:
            self.given += 1
            yield self.texts.take(order[step])

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the running epoch were given; a full epoch counts as none of the next."""
        return {"given": self.given % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next pass starts after as many batches."""
        self.sampler.first = state["given"]
