"""Sequence files as S3-Rec published them (Zhou et al., CIKM 2020, https://github.com/RUCAIBox/CIKM2020-S3Rec).

One raw line of the sequence file: a user, then the items in time order; and of the tab-separated items table:

    1 1 2 3 4 5
    1<TAB>OPI Nail Lacquer, Simmer and Shimmer, 0.5-Fluid Ounce<TAB>Beauty > Makeup > Nails > Nail Polish

Licence: that of the data in the file: Amazon reviews are for research, Yelp has the Yelp data set terms. The files know
order alone, and Amazon items of one day lie in catalogue order, from which published numbers profit.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datamodules.corpus import Corpus, DataError
from datamodules.reading.delimited import Dialect, missing_column, read_bytes, read_rows
from datamodules.reading.tables import assemble, interaction_table, item_table


@dataclass(frozen=True)
class SequencesSource:
    """One line per user, without times; behaviour "interact", strength unknown.

    Files are read from `root`, else from `data_dir`/`name`. sequences: the file's name; null takes the folder's only
    .txt file whose first line is a sequence of whole numbers. items: a table whose first column is `item_id`; every
    other column is text.
    """

    name: str
    data_dir: str = field(compare=False)
    root: str | None = field(default=None, compare=False)
    sequences: str | None = None
    items: str = "items.tsv"

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return Path(self.root) if self.root else Path(self.data_dir) / self.name

    def files(self) -> tuple[Path, ...]:
        """The sequence file and the items table. Raises `DataError` with what lies in the folder instead."""
        sequences = self.folder / self.sequences if self.sequences else self._find_sequences()
        for path in (sequences, self.folder / self.items):
            if not path.is_file():
                raise DataError(f"there is no {path.name}; found {_listing(self.folder)}. Put it there", self.folder)
        return sequences, self.folder / self.items

    def load(self) -> Corpus:
        """Read every user's sequence, in the order of the lines."""
        sequence_path, item_path = self.files()
        interactions = _read_sequences(sequence_path)
        rows = read_rows(item_path, Dialect("\t"))
        fields = [column for column in rows.table.column_names if column != "item_id"]
        if len(fields) == len(rows.table.column_names):
            raise missing_column(item_path, "item_id", rows.table.column_names)
        text = {name: _listed(rows.text(name)) if name == "categories" else rows.text(name) for name in fields}
        items = item_table(rows.keys("item_id"), text, item_path.name, rows.lines())
        return assemble(self.name, self.folder, interactions, items, fields)

    def _find_sequences(self) -> Path:
        found = [path for path in sorted(self.folder.glob("*.txt")) if _is_sequence_file(path)]
        if len(found) != 1:
            what = "no .txt file" if not found else f"{len(found)} files ({', '.join(path.name for path in found)})"
            raise DataError(
                f"{what} with lines 'user item item ...'; found {_listing(self.folder)}. "
                "Name the file by `sequences=FILE`, or the folder by `name` or `root`",
                self.folder,
            )
        return found[0]


def _listing(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.glob("*"))) or "nothing"


def _is_sequence_file(path: Path) -> bool:
    with path.open("rb") as file:
        words = file.readline().split()
    return len(words) > 1 and all(word.isdigit() for word in words)


def _read_sequences(path: Path) -> pa.Table:
    """One row an event, numbered by its line. Raises `DataError` for a line without items and a user's second line."""
    lines = read_bytes(path).decode().split("\n")
    words = [line.split() for line in lines]
    for number, line in enumerate(words, start=1):
        if len(line) < 2:
            raise DataError(
                f"found {' '.join(line)!r}, expected 'user item item ...'. If the line is cut short, get the file anew",
                path,
                number,
            )
    users = [line[0] for line in words]
    _check_users(path, users)
    lengths = np.array([len(line) - 1 for line in words])
    owner = np.repeat(np.arange(len(users)), lengths)
    items = pa.array([word for line in words for word in line[1:]], pa.string())
    user = pa.array(users, pa.string()).take(pa.array(owner))
    return interaction_table(user, items, behaviour="interact", file=path.name, line=pa.array(owner + 1))


def _check_users(path: Path, users: list[str]) -> None:
    user, count = Counter(users).most_common(1)[0]
    if count > 1:
        first = users.index(user)
        second = users.index(user, first + 1)
        raise DataError(
            f"user {user!r} has line {first + 1} already; a user is one line. Join them in time order", path, second + 1
        )


def _listed(categories: pa.Array) -> pa.Array:
    """Yelp's "Diners | Greek" as "Diners, Greek"; a path such as "Beauty > Makeup" is one category and stays."""
    return pc.replace_substring(categories, " | ", ", ")
