"""The slow twin of packed texts: rows filled up to a rectangle, and a mask."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from datamodules.types import Ragged


def pad(rows: Ragged, value: int) -> tuple[Int[Tensor, "U S"], Bool[Tensor, "U S"]]:
    """Rows filled up on the right with `value` to the length of the longest, and which entries are real."""
    lengths = rows.lengths()
    longest = int(lengths.max()) if len(lengths) else 0
    mask = torch.arange(longest, device=lengths.device) < lengths[:, None]
    padded = torch.full(mask.shape, value, dtype=torch.long, device=lengths.device)
    padded[mask] = rows.values.long()
    return padded, mask
