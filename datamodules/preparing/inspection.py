"""What a corpus must satisfy before it is prepared: each fault is one `DataError` with file and line."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datamodules.corpus import INTERACTIONS, SPLITS, Corpus, DataError

FIRST_SECOND, LAST_SECOND = -62_135_596_800.0, 253_402_300_799.0  # years 1 and 9999, seconds since 1970


def inspect(corpus: Corpus) -> None:
    """Raise `DataError` for the first fault: absent columns, no rows, empty keys, times given in part, unknown split
    names, an item listed twice, an interaction with an item that is not listed, a truth of another size."""
    _require_columns(corpus)
    _require_keys(corpus.interactions, ("user", "item", "behaviour"), "interaction")
    _require_keys(corpus.items, ("item",), "item")
    _require_times(corpus.interactions)
    _require_splits(corpus.interactions)
    _require_distinct_items(corpus.items)
    _require_listed_items(corpus)
    _require_sizes_of_truth(corpus)


def require_known(name: str, known: Sequence[str], place: str, what: str) -> None:
    """Raise `DataError` for a name that `place` sets and `what` does not have; the message gives the nearest right
    word."""
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise DataError(f"{place} names {name!r}, which is none of the {what}: {', '.join(known)}{hint}")


def _require_columns(corpus: Corpus) -> None:
    wanted = {"interactions": INTERACTIONS.names, "items": ["item", *corpus.fields, "file", "line"]}
    for name, columns in wanted.items():
        table: pa.Table = getattr(corpus, name)
        if absent := [column for column in columns if column not in table.column_names]:
            has = ", ".join(table.column_names)
            raise DataError(f"the {name} of {corpus.name!r} lack {', '.join(absent)}; the source gives only: {has}")
        if not table.num_rows:
            raise DataError(f"corpus {corpus.name!r} has no {name}; check that the raw files are whole")


def _require_keys(table: pa.Table, columns: tuple[str, ...], what: str) -> None:
    for column in columns:
        if table[column].null_count:
            _fail(table, pc.is_null(table[column]), f"{what} without {column}; fill it in or remove the line")


def _require_times(interactions: pa.Table) -> None:
    time = interactions["time"]
    if time.null_count == len(time):
        return
    if time.null_count:
        _fail(
            interactions,
            pc.is_null(time),
            f"{time.null_count} of {len(time)} interactions have no time, this one first; give all a time, or none",
        )
    no_number = "the time {} is no number of seconds; correct it or remove the line"
    _fail(interactions, pc.invert(pc.is_finite(time)), no_number, "time")
    no_date = "the time {} lies outside the years 1 to 9999; give seconds since 1970, or remove the line"
    _fail(interactions, pc.or_(pc.less(time, FIRST_SECOND), pc.greater(time, LAST_SECOND)), no_date, "time")


def _require_splits(interactions: pa.Table) -> None:
    split = interactions["split"]
    known = pc.is_in(split, value_set=pa.array([*SPLITS, None], pa.string()))
    _fail(interactions, pc.invert(known), f"split {{!r}} is none of {', '.join(SPLITS)}", "split")


def _require_distinct_items(items: pa.Table) -> None:
    codes = items["item"].combine_chunks().dictionary_encode().indices.to_numpy()
    again = np.ones(len(codes), dtype=bool)
    again[np.unique(codes, return_index=True)[1]] = False
    _fail(items, pa.array(again), "item {!r} is listed a second time; keep one of the lines", "item")


def _require_listed_items(corpus: Corpus) -> None:
    unlisted = pc.invert(pc.is_in(corpus.interactions["item"], value_set=corpus.items["item"].combine_chunks()))
    number = pc.sum(unlisted).as_py()
    way_out = "add it there, or remove its interactions"
    message = f"item {{!r}} is not in the items table ({number} interactions are with such items); {way_out}"
    _fail(corpus.interactions, unlisted, message, "item")


def _require_sizes_of_truth(corpus: Corpus) -> None:
    if corpus.truth is None:
        return
    (rows, k), (topics, items) = corpus.truth.mixture.shape, corpus.truth.topics.shape
    if (rows, items) != (corpus.interactions.num_rows, corpus.items.num_rows) or k != topics:
        raise DataError(
            f"the truth of {corpus.name!r} is ({rows}, {k}) x ({topics}, {items}) for {corpus.interactions.num_rows} "
            f"interactions and {corpus.items.num_rows} items; it needs (interactions, K) x (K, items)"
        )


def _fail(table: pa.Table, faulty: Any, message: str, column: str | None = None) -> None:
    """Raise for the first faulty row, if there is one; `{}` in the message stands for its value of `column`."""
    rows = np.flatnonzero(np.asarray(faulty))
    if len(rows):
        first = int(rows[0])
        text = message if column is None else message.format(table[column][first].as_py())
        raise DataError(text, file=table["file"][first].as_py(), line=table["line"][first].as_py())
