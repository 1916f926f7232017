"""A prepared corpus on disk, and what a split makes of it. Reading it needs numpy and pyarrow alone.

Letters: E events, B users (B1 = B + 1), Q queries (Q1 = Q + 1).
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64, Int8, Int16, Int32, Int64

from datamodules.corpus import DataError, Truth
from datamodules.storage import digest, write_array

_META = "meta.json"


@dataclass(frozen=True, eq=False)
class Prepared:
    """Columns of one prepared corpus, mapped from its folder rather than read; a pickle of it is the folder's path.

    User u owns the events offsets[u]:offsets[u + 1], in order of (split where given, time, row of reading). User ids
    go by first sight; item ids are a fixed random permutation, so that an id tells nothing of key, age or popularity.

    items: the catalogue in order of item id: item, the text columns `fields`, file, line. behaviours: name by id, in
    alphabetical order, so that no count of later events decides an id; id 0 is "", unknown. time: seconds, None where
    the data knows order alone. strength: NaN where unknown. split: -1 none, 0 train, 1 valid, 2 test. row: row of
    `Corpus.interactions`, and so of `truth.mixture`. truth.topics has its columns in order of item id; where a filter
    took items away its rows sum to less than one. report: see `datamodules.preparing.numbering.report`. digest: of the
    contents.
    """

    folder: Path
    name: str
    digest: str
    user_table: pa.Table
    items: pa.Table
    fields: tuple[str, ...]
    behaviours: tuple[str, ...]
    offsets: Int64[np.ndarray, " B1"]
    item: Int32[np.ndarray, " E"]
    time: Float64[np.ndarray, " E"] | None
    behaviour: Int16[np.ndarray, " E"]
    strength: Float32[np.ndarray, " E"]
    split: Int8[np.ndarray, " E"]
    row: Int64[np.ndarray, " E"]
    truth: Truth | None
    report: dict[str, Any]

    @cached_property
    def users(self) -> tuple[str, ...]:
        """Keys by user id."""
        return tuple(self.user_table["user"].to_pylist())

    @cached_property
    def item_keys(self) -> tuple[str, ...]:
        """Keys by item id."""
        return tuple(self.items["item"].to_pylist())

    @classmethod
    def open(cls, folder: Path) -> "Prepared":
        """Map a folder that `write_prepared` wrote. Raises `DataError` where a file is absent or not of the size
        written."""
        meta = _read_meta(folder)
        arrays = {path.stem: _mapped(path) for path in sorted(folder.glob("*.npy"))}
        mixture, topics = arrays.pop("mixture", None), arrays.pop("topics", None)
        return cls(
            folder=folder,
            name=meta["name"],
            digest=meta["digest"],
            user_table=_mapped_table(folder / "users.arrow"),
            items=_mapped_table(folder / "items.arrow"),
            fields=tuple(meta["fields"]),
            behaviours=tuple(meta["behaviours"]),
            time=arrays.pop("time", None),
            truth=None if mixture is None or topics is None else Truth(mixture, topics),
            report=meta["report"],
            **arrays,
        )

    def ends(self, inside: Bool[np.ndarray, " E"]) -> Int64[np.ndarray, " B"]:
        """Where the events `inside` end, user by user; they must come first among the user's events."""
        total = np.append(0, np.cumsum(inside))
        return self.offsets[:-1] + total[self.offsets[1:]] - total[self.offsets[:-1]]

    def __reduce__(self) -> tuple[Any, ...]:
        return Prepared.open, (self.folder,)


@dataclass(frozen=True)
class Description:
    """What a prepared corpus is besides its columns; see `Prepared`."""

    name: str
    fields: tuple[str, ...]
    behaviours: tuple[str, ...]
    report: dict[str, Any]


def write_prepared(
    folder: Path, columns: dict[str, np.ndarray], users: pa.Table, items: pa.Table, description: Description
) -> None:
    """Fill an empty folder with columns (named as in `Prepared`; mixture and topics for a truth), tables and meta.json.

    The digest covers contents, not files: it stays the same under another version of the file format.
    """
    for name, values in columns.items():
        write_array(folder / f"{name}.npy", values)
    for name, table in (("users", users), ("items", items)):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        (folder / f"{name}.arrow").write_bytes(sink.getvalue())
    content = {
        "columns": {name: [str(v.dtype), v.shape, _digest_array(v)] for name, v in columns.items()},
        "tables": {"users": _digest_table(users), "items": _digest_table(items)},
        "fields": description.fields,
        "behaviours": description.behaviours,
    }
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    meta = asdict(description) | {"digest": digest(content), "sizes": sizes}
    (folder / _META).write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8")


@dataclass(frozen=True, eq=False)
class QuerySet:
    """What is asked at evaluation. Query q has the history offsets[user]:stop of its user's events and, as the right
    answers, the events `events[offsets[q]:offsets[q + 1]]`; time is the time of its last history event."""

    user: Int64[np.ndarray, " Q"]
    stop: Int64[np.ndarray, " Q"]
    time: Float64[np.ndarray, " Q"] | None
    offsets: Int64[np.ndarray, " Q1"]
    events: Int64[np.ndarray, " P"]

    @classmethod
    def following(cls, prepared: Prepared, stop: Int64[np.ndarray, " B"], end: Int64[np.ndarray, " B"]) -> "QuerySet":
        """One query per user: history up to `stop`, answers stop:end. A user without the one or the other has no
        query."""
        user = np.flatnonzero((stop > prepared.offsets[:-1]) & (end > stop))
        stop, lengths = stop[user], (end - stop)[user]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        events = np.arange(offsets[-1]) + np.repeat(stop - offsets[:-1], lengths)
        time = None if prepared.time is None else np.asarray(prepared.time[stop - 1])
        return cls(user.astype(np.int64), stop, time, offsets, events)

    def of_users(self, chosen: Bool[np.ndarray, " B"]) -> "QuerySet":
        """The queries of the chosen users, in their order."""
        kept, lengths = chosen[self.user], np.diff(self.offsets)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths[kept])])
        time = None if self.time is None else self.time[kept]
        return QuerySet(self.user[kept], self.stop[kept], time, offsets, self.events[np.repeat(kept, lengths)])


@dataclass(frozen=True, eq=False)
class Split:
    """Training events of user u are offsets[u]:train_stop[u]; queries has the keys "valid" and "test"."""

    train_stop: Int64[np.ndarray, " B"]
    queries: dict[str, QuerySet]


@runtime_checkable
class Splitter(Protocol):
    """A rule: which events train, and what is asked. Raises `DataError` where the corpus lacks what it needs."""

    def __call__(self, prepared: Prepared) -> Split: ...


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / _META
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        sizes = meta["sizes"]
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(path, f"cannot be read ({error})") from error
    for name, size in sizes.items():
        file = folder / name
        found = file.stat().st_size if file.is_file() else 0
        if found != size:
            raise _damaged(file, f"has {found:,} bytes, {size:,} were written")
    return dict(meta)


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{what}; delete the folder {path.parent}, and the next run prepares it anew", file=path)


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _damaged(path, f"is not a column ({error})") from error


def _mapped_table(path: Path) -> pa.Table:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(path, f"is not a table ({error})") from error


def _digest_array(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data).hexdigest()


def _digest_table(table: pa.Table) -> str:
    """SHA-256 of the names and values, in pieces, so that a large table is never text as a whole."""
    state = hashlib.sha256(json.dumps(table.column_names).encode())
    for part in _pieces(table):
        state.update(json.dumps(part, ensure_ascii=False, default=str).encode())
    return state.hexdigest()


def _pieces(table: pa.Table, rows: int = 65536) -> Iterator[list[Any]]:
    for name in table.column_names:
        for start in range(0, table.num_rows, rows):
            yield table[name].slice(start, rows).to_pylist()
