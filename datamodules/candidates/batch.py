"""Score against the items that the batch holds anyway.

A batch shows popular items more often, which log-q corrects (Yi et al. 2019, "Sampling-bias-corrected neural
modeling").
"""

from dataclasses import dataclass

import numpy as np

from datamodules.batching.inclusion import log_inclusion


@dataclass(frozen=True)
class BatchCandidates:
    """The distinct items of the batch, history and answers alike."""

    def __call__(
        self, seen: np.ndarray, draws: int, counts: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """log q(i) = log(1 - (1 - p_i)^draws), p_i the item's share of the training events."""
        return seen, log_inclusion(counts[seen] / counts.sum(), draws)
