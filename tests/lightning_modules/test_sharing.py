"""Processes that share out the catalogue have what one process has, bit for bit."""

import pytest
import torch

from lightning_modules.parts import sharing
from lightning_modules.parts.sharing import shared_out

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
