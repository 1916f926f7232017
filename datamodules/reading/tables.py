"""The two tables of a corpus, put together and checked the same way for every source."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from datamodules.corpus import INTERACTIONS, Corpus, DataError, Truth

Column: TypeAlias = pa.Array | str | None
"""Values of every row, one word for all of them, or null throughout."""


def interaction_table(
    user: pa.Array,
    item: pa.Array,
    *,
    behaviour: Column,
    file: Column,
    line: pa.Array,
    time: Column = None,
    strength: Column = None,
    split: Column = None,
) -> pa.Table:
    """A table with the columns of `INTERACTIONS`."""
    given: dict[str, Column] = {
        "user": user,
        "item": item,
        "time": time,
        "behaviour": behaviour,
        "strength": strength,
        "split": split,
        "file": file,
        "line": line,
    }
    columns = [_fill(given[field.name], field.type, len(user)) for field in INTERACTIONS]
    return pa.Table.from_arrays(columns, schema=INTERACTIONS)


def item_table(item: pa.Array, text: Mapping[str, pa.Array], file: Column, line: pa.Array) -> pa.Table:
    """Item keys, text columns, and where each item stands. Raises `DataError` where a text column takes such a name."""
    for name in text:
        if name in ("item", "file", "line"):
            raise DataError(
                f"a text column may not be called {name!r}, which is a column of every items table; rename it"
            )
    columns = {"item": item, **text, "file": _fill(file, pa.string(), len(item)), "line": line}
    return pa.table(columns)


def assemble(
    name: str, folder: Path, interactions: pa.Table, items: pa.Table, fields: Sequence[str], truth: Truth | None = None
) -> Corpus:
    """A corpus whose items are distinct and cover all interactions. Raises `DataError` at the first line at fault."""
    _check_distinct(folder, items)
    _check_known(folder, interactions, items)
    return Corpus(name, interactions, items, tuple(fields), truth)


def _fill(column: Column, kind: pa.DataType, length: int) -> pa.Array:
    if column is None:
        return pa.nulls(length, kind)
    return pa.repeat(pa.scalar(column, kind), length) if isinstance(column, str) else column.cast(kind)


def _check_distinct(folder: Path, items: pa.Table) -> None:
    if pc.count_distinct(items["item"]).as_py() == len(items):
        return
    first: dict[str, int] = {}
    for row, key in enumerate(items["item"].to_pylist()):
        if key in first:
            file, line = items["file"][row].as_py(), items["line"][row].as_py()
            before = items["line"][first[key]].as_py()
            raise DataError(f"item {key!r} stands on line {before} already; delete one of them", folder / file, line)
        first[key] = row


def _check_known(folder: Path, interactions: pa.Table, items: pa.Table) -> None:
    known = pc.is_in(interactions["item"], value_set=pc.unique(items["item"]))
    if pc.all(known).as_py():
        return
    row = pc.index(known, False).as_py()
    unknown = pc.count_distinct(interactions["item"].filter(pc.invert(known))).as_py()
    key, file, line = (interactions[name][row].as_py() for name in ("item", "file", "line"))
    tables = " and ".join(pc.unique(items["file"]).to_pylist())
    raise DataError(
        f"item {key!r} has no entry in {tables} ({unknown} items have none); add one or delete the line",
        folder / file,
        line,
    )
