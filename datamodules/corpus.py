"""What a source hands over: the raw log as plain tables, before anything is counted, filtered or numbered.

Only pyarrow is needed to read this file, so that a program which merely prepares data never imports torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

INTERACTIONS = pa.schema(
    [
        pa.field("user", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("time", pa.float64()),  # seconds since 1970; null in every row where the data knows order alone
        pa.field("behaviour", pa.string(), nullable=False),  # "view", "click", "rate", "buy", ...
        pa.field("strength", pa.float64()),  # how strongly: a rating, seconds of dwell, a count; the source says which
        pa.field("split", pa.string()),  # "train", "valid" or "test" where the files give a split, else null
        pa.field("file", pa.string(), nullable=False),  # the file's name and the line in it (from 1) the row came from
        pa.field("line", pa.int64(), nullable=False),
    ]
)
"""Rows stand in the order in which they were read; that order breaks ties in time."""

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Truth:
    """The distribution a simulator drew from: p(item | row) = mixture[row] @ topics.

    mixture: (rows, K), row r is the user's latent interests at the moment when interaction r was drawn; rows sum to
    one. topics: (K, items), row k is interest k's distribution over the items table; rows sum to one.
    """

    mixture: np.ndarray
    topics: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """A raw log: `interactions` has the columns of INTERACTIONS, `items` a column `item` and the text columns `fields`.

    An item's text column may be null or a string; several categories are joined by ", ". Items without interactions may
    stand in the table. Every item of `interactions` must stand in `items`.
    """

    name: str
    interactions: pa.Table
    items: pa.Table
    fields: tuple[str, ...]
    truth: Truth | None = None


@runtime_checkable
class Source(Protocol):
    """Raw files of one corpus. Implementations are frozen dataclasses; fields that do not change what is loaded
    (folders, download settings) are declared with `field(compare=False)` and stay out of the fingerprint."""

    def files(self) -> tuple[Path, ...]:
        """The raw files, downloaded first where needed. Raises `DataError` where a file is absent or damaged."""
        ...

    def load(self) -> Corpus:
        """Read the files. Raises `DataError` that names file, line, what was found and what to do."""
        ...


class DataError(ValueError):
    """Input that cannot be used: the message names the place, what was found and the way out."""

    def __init__(self, message: str, file: str | Path | None = None, line: int | None = None) -> None:
        place = "" if file is None else f"{file}: " if line is None else f"{file}, line {line}: "
        super().__init__(place + message)
