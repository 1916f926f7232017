"""A corpus of ten letters that every user reads in order."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from datamodules.corpus import INTERACTIONS, Corpus


@dataclass(frozen=True)
class LettersSource:
    """Users walk through the alphabet, each from another letter."""

    users: int = 12

    def files(self) -> tuple[Path, ...]:
        return ()

    def load(self) -> Corpus:
        letters = "abcdefghij"
        rows = [
            {
                "user": f"u{user}",
                "item": letters[(user + step) % 10],
                "time": float(step),
                "behaviour": "read",
                "file": "none",
                "line": 1 + step,
            }
            for user in range(self.users)
            for step in range(6)
        ]
        items = {
            "item": list(letters),
            "title": [f"the letter {letter}" for letter in letters],
            "file": ["none"] * 10,
            "line": pa.array(range(1, 11), pa.int64()),
        }
        return Corpus("letters", pa.Table.from_pylist(rows, INTERACTIONS), pa.table(items), ("title",))
