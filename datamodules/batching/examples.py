"""What an objective makes of the training log: windows of events, and the questions asked inside them."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Examples:
    """M windows over a flat log of events. All arrays are int64.

    Window m shows the model events start[m]:stop[m] of `user[m]`. Its queries are offsets[m]:offsets[m + 1]: each is
    asked at `position` (within the window, the last event it may look at) and answered by the event `target` (flat
    index).
    """

    user: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    offsets: np.ndarray
    position: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.user)


@runtime_checkable
class Objective(Protocol):
    """Training events of each user -> examples. `every_position`: it asks inside the window, so the interest must be
    causal."""

    history_length: int
    every_position: bool

    def __call__(self, starts: np.ndarray, stops: np.ndarray) -> Examples: ...


@runtime_checkable
class CandidateSampler(Protocol):
    """Which items the queries of a batch are scored against.

    seen: the distinct items of the batch, ascending (every target is among them). draws: how many events they came
    from. counts: (N,) training counts. Returns distinct item ids, ascending, targets included, and the log-probability
    of each being here.
    """

    def __call__(
        self, seen: np.ndarray, draws: int, counts: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]: ...
