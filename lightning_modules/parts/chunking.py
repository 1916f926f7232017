"""Cut texts of unequal length into chunks of bounded size, texts of one length side by side."""

from itertools import accumulate, pairwise

import torch
from jaxtyping import Int
from torch import Tensor


def chunk_by_length(lengths: Int[Tensor, " U"], budget: int) -> list[Int[Tensor, " _"]]:
    """Row numbers, shortest text first, in chunks of at most `budget` tokens.

    A text longer than the budget is a chunk of its own. Equal lengths keep their order, so the chunks depend on the
    lengths and the budget alone. Concatenated they hold each row once.
    """
    if budget < 1:
        raise ValueError(f"A chunk of {budget} tokens holds nothing: give at least 1")
    order = torch.sort(lengths, stable=True).indices
    cuts, first, before = [], 0, 0
    for row, until in enumerate(accumulate(lengths[order].tolist())):
        if row > first and until - before > budget:
            cuts.append(row)
            first, before = row, until - int(lengths[order[row]])
    bounds = [0, *cuts, len(order)]
    return [order[start:stop] for start, stop in pairwise(bounds) if stop > start]
