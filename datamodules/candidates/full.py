"""Score against the whole catalogue: no sampling, no correction, and the cost of encoding every item at every step."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FullCandidates:
    """All N items. Where a trainable language model would have to read more than `max_tokens` tokens at every step,
    training refuses to start and says the arithmetic."""

    max_tokens: int = 100_000

    def __call__(
        self, seen: np.ndarray, draws: int, counts: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(counts)), np.zeros(len(counts))

    def check(self, catalogue_tokens: int) -> None:
        """Raise `ValueError` where encoding the catalogue at every step is out of reach."""
        if catalogue_tokens > self.max_tokens:
            raise ValueError(
                "candidates=full with a language model that trains would read the whole catalogue, "
                f"{catalogue_tokens:,} tokens, at every step; the limit candidates.max_tokens is {self.max_tokens:,}. "
                "Use candidates=sampled, strategy=frozen, or raise the limit"
            )
