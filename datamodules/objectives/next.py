"""Ask after every event what came next, all positions of a history in one pass.

The training objective of causal sequence models (Radford et al. 2018 for text; Kang & McAuley 2018, SASRec section 3.5,
for recommendation). Query time is the event's own time; the successor's time is never seen.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.batching.examples import Examples


@dataclass(frozen=True)
class NextObjective:
    """Windows of at most `history_length` events, counted from each user's end.

    Every training event but a user's first is the answer of exactly one query, and every earlier event of its window is
    known to that query. SASRec trains on the last window alone; here older windows are examples too.
    """

    history_length: int = 50
    every_position: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.history_length < 1:
            raise ValueError(f"history_length is {self.history_length}; a history has at least 1 event")

    def __call__(self, starts: np.ndarray, stops: np.ndarray) -> Examples:
        """starts, stops: (users,) the training events of each user as flat indices."""
        asked = np.maximum(stops - starts - 1, 0)  # events with a successor
        windows = -(-asked // self.history_length)
        user = np.repeat(np.arange(len(starts)), windows)
        back = np.arange(len(user)) - np.repeat(np.cumsum(windows) - windows, windows)  # 0 is the latest window
        stop = stops[user] - 1 - back * self.history_length
        start = np.maximum(stop - self.history_length, starts[user])
        counts = stop - start
        position = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Examples(
            user=user,
            start=start,
            stop=stop,
            offsets=np.concatenate([[0], np.cumsum(counts)]),
            position=position,
            target=np.repeat(start, counts) + position + 1,
        )
