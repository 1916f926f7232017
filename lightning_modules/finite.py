"""NaN and infinity are refused where they first show."""

import torch
from torch import Tensor


class NotFiniteError(RuntimeError):
    """A score, loss or state is NaN or infinite; the message names the place."""


def require_finite(values: Tensor, place: str) -> Tensor:
    """Return `values`, or raise `NotFiniteError` saying where it went wrong and how often."""
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise NotFiniteError(f"{bad} of {values.numel()} values are NaN or infinite in {place}")
    return values
