"""Corpora of any size, for seeing how cost grows: uniform draws, and titles of common English words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.loops.corpora import CACHE
from datamodules.storage import atomic_folder

WORDS = """
time year people way day man thing woman life child world school state family student group country problem hand part
place case week company system program question work government number night point home water room mother area money
story fact month lot right study book eye job word business issue side kind head house service friend father power
hour game line end member law car city community name president team minute idea kid body
""".split()  # noqa: SIM905  # a list would have a line for each
"""One word piece each in the vocabularies of BERT and MiniLM."""


@dataclass(frozen=True)
class SizedCorpus:
    """events: of each user, two of which are held out. words: of each title, plus two special tokens when read."""

    users: int
    items: int
    events: int
    words: int = 3

    def folder(self) -> Path:
        """The folder that holds it, in the form of `datamodule=sequences`; made once."""
        path = CACHE / "sized" / f"{self.users}x{self.items}x{self.events}x{self.words}"
        if not path.is_dir():
            with atomic_folder(path) as made:
                self._write(made)
        return path

    def composition(self) -> list[str]:
        """Overrides that choose it."""
        return ["datamodule=sequences", "datamodule.source.name=sized", f"datamodule.source.root={self.folder()}"]

    def _write(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        drawn = rng.integers(1, self.items + 1, (self.users, self.events))
        lines = (f"{user} {' '.join(map(str, row))}\n" for user, row in enumerate(drawn, start=1))
        (folder / "sequences.txt").write_text("".join(lines), "utf-8")
        titles = rng.integers(0, len(WORDS), (self.items, self.words))
        rows = (f"{item}\t{_title(row)}\n" for item, row in enumerate(titles, start=1))
        (folder / "items.tsv").write_text("item_id\ttitle\n" + "".join(rows), "utf-8")


def _title(words: Sequence[int]) -> str:
    return " ".join(WORDS[word] for word in words)
