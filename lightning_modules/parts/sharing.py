"""The processes of a run share work whose result all of them need."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed


def shared_out(
    chunks: Sequence[Int[Tensor, " _"]], encode: Callable[[Int[Tensor, " R"]], Float[Tensor, "R F"]]
) -> Float[Tensor, "N F"]:
    """Rows 0 .. N - 1, each in one chunk, encoded chunk by chunk; process r of w encodes chunks r, r + w, ...

    Rows that another process makes are zero here, so that a sum over processes puts them together without rounding. A
    single process encodes everything. All processes have to call it.
    """
    rank, world = place()
    # A process without a chunk of its own encodes the last one all the same: it has to learn the size of a vector.
    mine = chunks[rank::world] or chunks[-1:]
    made = [encode(rows) for rows in mine]
    if world == 1:
        return torch.cat(made)[torch.argsort(torch.cat(list(chunks)))]
    whole = made[0].new_zeros(sum(map(len, chunks)), made[0].shape[1])
    if rank < len(chunks):
        whole[torch.cat(list(mine))] = torch.cat(made)
    distributed.all_reduce(whole)
    return whole


def least(values: Int[Tensor, " X"]) -> Int[Tensor, " X"]:
    """The smallest that any process gives, value by value. All processes have to call it."""
    if place()[1] > 1:
        values = values.clone()
        distributed.all_reduce(values, distributed.ReduceOp.MIN)
    return values


def place() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
