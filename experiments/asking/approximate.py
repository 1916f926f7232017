"""Approximate lists of a run: the index is made once and kept in the cache; a sample of users shows what is missed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from datamodules.corpus import DataError
from datamodules.storage import atomic_file
from lightning_modules.recommender import Recommender
from lightning_modules.retrieval import Retriever, build_index, read_index
from lightning_modules.types import Pool

SAMPLE = 100
"""Users whose lists are made both ways."""


def retriever(model: Recommender, vectors: Float[Tensor, "R D"], n_items: int, cache: Path) -> Retriever:
    """The retriever over a catalogue, the first n_items of the centred vectors.

    The index is known by the vectors that it holds, so another checkpoint gets another one. Raises `DataError` where
    the file in the cache is damaged.
    """
    with torch.no_grad():
        pool = model.head.pool(vectors[:n_items], torch.arange(n_items))
    path = cache / "retrieval" / f"{_digest(pool)}.usearch"
    if not path.is_file():
        index = build_index(pool)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as content:
            index.save(content)
    try:
        return Retriever(model, vectors, pool, read_index(path, pool))
    except ValueError as error:
        raise DataError(f"{error}; remove the file, and it is made anew", path) from error


def sample(users: Sequence[str]) -> list[str]:
    """Keys of `SAMPLE` users, the same ones each time, or of all."""
    chosen = np.random.default_rng(0).permutation(len(users))[:SAMPLE]
    return [users[user] for user in np.sort(chosen)]


def _digest(pool: Pool) -> str:
    return hashlib.sha256(pool.vectors.contiguous().numpy().tobytes()).hexdigest()[:16]
