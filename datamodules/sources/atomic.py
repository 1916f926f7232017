"""RecBole's atomic files (https://recbole.io/docs/user_guide/data/atomic_files.html) and its benchmark files.

Raw lines of NAME.inter, NAME.item, of a benchmark file NAME.train.inter with item lists, and of UniSRec's NAME.text and
NAME.item2index (Hou et al., KDD 2022, https://github.com/RUCAIBox/UniSRec); a header gives each column's type:

    user_id:token<TAB>item_id:token<TAB>rating:float<TAB>timestamp:float    196<TAB>242<TAB>3<TAB>881250949
    item_id:token<TAB>movie_title:token_seq<TAB>release_year:token          1<TAB>Toy Story<TAB>1995
    user_id:token<TAB>item_id_list:token_seq<TAB>item_id:token              0<TAB>17 4 952<TAB>31
    item_id:token<TAB>text:token_seq                                        B00004U9JP<TAB>InSinkErator disposer
    (no header)                                                             B00004U9JP<TAB>31

Licence: that of the data in the files; the conversion itself adds none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datamodules.corpus import SPLITS, Corpus, DataError
from datamodules.reading.delimited import Dialect, Rows, read_rows
from datamodules.reading.histories import unroll
from datamodules.reading.tables import assemble, interaction_table, item_table

TYPES = ("token", "token_seq", "float", "float_seq")
RATING = "rating"
TIME = "timestamp"


@dataclass(frozen=True)
class AtomicSource:
    """NAME.inter with NAME.item, or NAME.{train,valid,test}.inter with the split kept and NAME.item or NAME.text.

    Files are read from `root`, else from `data_dir`/`name`. Benchmark rows are events, or (history, target) where the
    files have a column `item`_list; then the sequences are put together again and have no times. fields: the text
    columns in their order; empty takes every token and token_seq column of the items but the id. user, item, rating,
    time: names of columns; rating (the strength) and time may be absent, unless they are asked for by another name than
    RecBole's. behaviour: a column of words; null calls every event "rate" where there are ratings, else "interact".
    NAME.user, .kg and .link are not read.
    """

    name: str
    data_dir: str = field(compare=False)
    root: str | None = field(default=None, compare=False)
    fields: Sequence[str] = ()
    user: str = "user_id"
    item: str = "item_id"
    rating: str = RATING
    time: str = TIME
    behaviour: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(self.fields))

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return Path(self.root) if self.root else Path(self.data_dir) / self.name

    def files(self) -> tuple[Path, ...]:
        """Interactions first, then what describes the items. Raises `DataError` with everything that was looked for."""
        return (*self._interaction_files(), *self._item_files())

    def load(self) -> Corpus:
        """Read the layout that lies there."""
        paths = self._interaction_files()
        parts = [_read_typed(path) for path in paths]
        listed = f"{self.item}_list"
        if len(parts) == 1:
            interactions = self._events(parts[0], None)
        elif listed in parts[0].table.column_names:
            interactions = unroll(dict(zip(SPLITS, parts, strict=True)), self.user, self.item, listed, "interact")
        else:
            tables = [self._events(rows, split) for rows, split in zip(parts, SPLITS, strict=True)]
            interactions = pa.concat_tables(tables).combine_chunks()
        items, fields = self._items()
        return assemble(self.name, self.folder, interactions, items, fields)

    def _interaction_files(self) -> tuple[Path, ...]:
        plain = self._path(".inter")
        benchmark = tuple(self._path(f".{split}.inter") for split in SPLITS)
        if plain.is_file() and any(path.is_file() for path in benchmark):
            raise DataError(
                f"both {plain.name} and benchmark files lie there; move one layout into a folder of its own",
                self.folder,
            )
        if plain.is_file():
            return (plain,)
        if all(path.is_file() for path in benchmark):
            return benchmark
        raise self._absent((plain.name, " + ".join(path.name for path in benchmark)))

    def _item_files(self) -> tuple[Path, ...]:
        item, text, index = self._path(".item"), self._path(".text"), self._path(".item2index")
        if item.is_file():
            return (item,)
        if text.is_file():
            return (text, index) if index.is_file() else (text,)
        raise self._absent((item.name, f"{text.name} (+ {index.name})"))

    def _path(self, ending: str) -> Path:
        return self.folder / f"{self.name}{ending}"

    def _absent(self, wanted: tuple[str, ...]) -> DataError:
        found = ", ".join(sorted(path.name for path in self.folder.glob("*"))) or "nothing"
        return DataError(
            f"looked for {' or '.join(wanted)}; found {found}. Put them there, or set `name`, `data_dir` or `root`",
            self.folder,
        )

    def _events(self, rows: Rows, split: str | None) -> pa.Table:
        rated = self.rating in rows.table.column_names or self.rating != RATING
        timed = self.time in rows.table.column_names or self.time != TIME
        return interaction_table(
            rows.keys(self.user),
            rows.keys(self.item),
            behaviour=rows.keys(self.behaviour) if self.behaviour else "rate" if rated else "interact",
            time=rows.numbers(self.time) if timed else None,
            strength=rows.numbers(self.rating) if rated else None,
            split=split,
            file=rows.path.name,
            line=rows.lines(),
        )

    def _items(self) -> tuple[pa.Table, tuple[str, ...]]:
        path, *index = self._item_files()
        types: dict[str, str] = {}
        rows = _read_typed(path, types)
        key = self.item if path.suffix == ".item" else "item_id"
        keys, lines = rows.keys(key), rows.lines()
        fields = tuple(self.fields) or tuple(name for name, kind in types.items() if name != key and "token" in kind)
        text = {name: rows.text(name) for name in fields}
        if index:
            keys = _renumber(index[0], keys)
            kept = pc.is_valid(keys)
            keys, lines, text = keys.filter(kept), lines.filter(kept), {n: c.filter(kept) for n, c in text.items()}
        return item_table(keys, text, path.name, lines), fields


def _read_typed(path: Path, types: dict[str, str] | None = None) -> Rows:
    """Read a file with a header of `name:type` cells; the types go into `types`."""
    rows = read_rows(path, Dialect("\t"))
    names = []
    for cell in rows.table.column_names:
        name, _, kind = cell.rpartition(":")
        if not name or kind not in TYPES:
            raise DataError(f"header cell {cell!r}, expected NAME:TYPE with a type of {', '.join(TYPES)}", path, 1)
        names.append(name)
        if types is not None:
            types[name] = kind
    return Rows(path, rows.table.rename_columns(names), rows.first)


def _renumber(path: Path, keys: pa.Array) -> pa.Array:
    """The index of every raw id; null for an item that the index leaves out, which then belongs to no interaction."""
    index = read_rows(path, Dialect("\t", names=("raw", "index")))
    raw = index.keys("raw")
    return index.keys("index").take(pc.index_in(keys, value_set=raw))
