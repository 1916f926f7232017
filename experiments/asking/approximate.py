"""Approximate lists of a run: the index is made once and kept in the cache; a sample of users shows what is missed."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datamodules.corpus import DataError
from datamodules.storage import atomic_file, digest, made_once
from lightning_modules.retrieval import SETTINGS, Retriever, build_index, read_index
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.types import Pool

if TYPE_CHECKING:  # an extra
    from usearch.index import Index

EPOCH = 1
"""Raised with every change of the code that makes another index of the same vectors."""
SAMPLE = 100
"""Users whose lists are made both ways."""


def retriever(scorer: TrainedScorer, cache: Path) -> Retriever:
    """The retriever over the catalogue of a prepared scorer.

    The index is known by the vectors that it holds and by how it is made of them, so another checkpoint gets another
    one. Of several processes one makes it. Raises `DataError` where the file in the cache is damaged.
    """
    pool = scorer.pool
    path = cache / "retrieval" / f"{key(pool)}.usearch"

    def made() -> "Index":
        index = build_index(pool)
        with atomic_file(path) as content:
            index.save(content)
        return index

    index = made_once(path, lambda: _kept(path, pool), made)
    return Retriever(scorer.model, scorer.vectors, pool, index)


def sample(users: Sequence[str]) -> list[str]:
    """Keys of `SAMPLE` users, the same ones each time, or of all."""
    chosen = np.random.default_rng(0).permutation(len(users))[:SAMPLE]
    return [users[user] for user in np.sort(chosen)]


def key(pool: Pool) -> str:
    """Digest of all that an index depends on."""
    vectors = np.ascontiguousarray(pool.vectors.cpu().numpy())
    content = hashlib.sha256(vectors.reshape(-1).view(np.uint8).data).hexdigest()
    return digest([EPOCH, version("usearch"), SETTINGS, vectors.shape, content])


def _kept(path: Path, pool: Pool) -> "Index | None":
    if not path.is_file():
        return None
    try:
        return read_index(path, pool)
    except ValueError as error:
        raise DataError(f"{error}; remove the file, and it is made anew", path) from error
