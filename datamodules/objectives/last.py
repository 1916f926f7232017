"""Ask once, at the end of a history, what came next.

Every training event but a user's first becomes an example of its own, with the events before it as history: the data
augmentation of GRU4Rec's successors (Tan et al. 2016, section 3.1). Needed by interests that look at the whole history
at once; a causal interest learns the same questions from `next` in a fraction of the time.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.batching.examples import Examples


@dataclass(frozen=True)
class LastObjective:
    """One example per training event that has a predecessor; at most `history_length` events of history."""

    history_length: int = 50
    every_position: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.history_length < 1:
            raise ValueError(f"history_length is {self.history_length}; a history has at least 1 event")

    def __call__(self, starts: np.ndarray, stops: np.ndarray) -> Examples:
        """starts, stops: (users,) the training events of each user as flat indices."""
        counts = np.maximum(stops - starts - 1, 0)
        user = np.repeat(np.arange(len(starts)), counts)
        target = starts[user] + 1 + np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
        start = np.maximum(target - self.history_length, starts[user])
        return Examples(
            user=user,
            start=start,
            stop=target,
            offsets=np.arange(len(user) + 1),
            position=target - start - 1,
            target=target,
        )
