"""Processes that share out the catalogue have what one process has, bit for bit."""

import pytest
import torch

from lightning_modules.parts import sharing
from lightning_modules.parts.sharing import least, shared_out

CHUNKS = [torch.tensor([4, 0]), torch.tensor([1, 5, 3]), torch.tensor([2])]
VECTORS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shares_add_up_to_the_whole(world, monkeypatch):
    asked, parts = [], []

    def encode(rows):
        asked.append(rows.tolist())
        return VECTORS[rows]

    monkeypatch.setattr(sharing.distributed, "all_reduce", parts.append)
    for rank in range(world):
        monkeypatch.setattr(sharing, "place", lambda rank=rank: (rank, world))
        whole = shared_out(CHUNKS, encode)
    if world > 1:
        assert len(parts) == world
        whole = sum(parts)
    assert torch.equal(whole, VECTORS)
    assert len(asked) == max(world, len(CHUNKS))  # a process without a share encodes one chunk to learn the shape


def test_the_least_of_all_processes_is_asked_for_where_there_are_others(monkeypatch):
    def reduced(values, operation):
        assert operation == sharing.distributed.ReduceOp.MIN
        values.copy_(values.minimum(torch.tensor([5, 0])))

    ours = torch.tensor([7, -1])
    assert least(ours).tolist() == [7, -1]
    monkeypatch.setattr(sharing.distributed, "all_reduce", reduced)
    monkeypatch.setattr(sharing, "place", lambda: (0, 2))
    assert least(ours).tolist() == [5, -1]
    assert ours.tolist() == [7, -1]
