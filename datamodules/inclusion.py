"""Probability that sampling put an item among the candidates."""

import numpy as np


def log_inclusion(share: np.ndarray, draws: int, uniform: float = 0.0) -> np.ndarray:
    """log(1 - (1 - share)^draws (1 - uniform)): drawn at least once in `draws` by its `share`, or by the uniform
    sample.

    An item whose probability is zero stands among the candidates only because the caller put it there; it counts as if
    drawn once in a draw of its own, so the result stays finite.
    """
    missed = draws * np.log1p(-np.minimum(share, 1 - 1e-12)) + np.log1p(-min(uniform, 1 - 1e-12))
    return np.log(np.maximum(-np.expm1(missed), 1e-12))
