"""Probability that sampling put an item among the candidates."""

import numpy as np


def log_inclusion(share: np.ndarray, draws: int, uniform: float = 0.0) -> np.ndarray:
    """log(1 - (1 - share)^draws (1 - uniform)): drawn at least once in `draws` by its `share`, or by the uniform
    sample.

    The probability is taken to be at least 1e-12, so that the result stays finite: an item that cannot be drawn stands
    among the candidates only because the caller put it there.
    """
    missed = draws * np.log1p(-np.minimum(share, 1 - 1e-12)) + np.log1p(-min(uniform, 1 - 1e-12))
    return np.log(np.maximum(-np.expm1(missed), 1e-12))
