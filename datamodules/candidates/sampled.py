"""Score against the batch's items and some drawn uniformly from the catalogue.

In-batch candidates alone never hold an item that nobody touched; the uniform ones do (Yang et al. 2020, "Mixed negative
sampling"). Their union is corrected by the probability that either of the two brought the item.
"""

from dataclasses import dataclass

import numpy as np

from datamodules.batching.inclusion import log_inclusion


@dataclass(frozen=True)
class SampledCandidates:
    """The batch's distinct items and `extra` further catalogue items, drawn without replacement anew for each step."""

    extra: int = 256

    def __post_init__(self) -> None:
        if self.extra < 1:
            raise ValueError(f"extra is {self.extra}; use candidates=batch for the batch's items alone")

    def __call__(
        self, seen: np.ndarray, draws: int, counts: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """log q(i) = log(1 - (1 - p_i)^draws (1 - extra / N))."""
        extra = min(self.extra, len(counts))
        drawn = rng.choice(len(counts), size=extra, replace=False)
        ids = np.union1d(seen, drawn)
        return ids, log_inclusion(counts[ids] / counts.sum(), draws, extra / len(counts))
