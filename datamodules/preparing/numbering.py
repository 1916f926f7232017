"""From filtered, ordered events to numbered columns, and the report of what was found on the way."""

from typing import Any

import numpy as np
import pyarrow as pa

from datamodules.corpus import Corpus

ITEM_ORDER_SEED = 20261124
"""Fixes the permutation of item ids. Another number gives other ids, and so other (equally good) results."""


def number(events: pa.Table, catalogue: np.ndarray, corpus: Corpus) -> tuple[dict[str, np.ndarray], pa.Table, pa.Table]:
    """Columns, table of users and table of items, as `write_prepared` takes them.

    events: grouped by user, in the final order, with `seen` (the user's first row) and `item_row` (row of the items
    table). catalogue: the rows of the items table that are kept, ascending.
    """
    starts = _starts(events["seen"].to_numpy())
    row_of_id = catalogue[np.random.default_rng(ITEM_ORDER_SEED).permutation(len(catalogue))]
    id_of_row = np.full(corpus.items.num_rows, -1, dtype=np.int32)
    id_of_row[row_of_id] = np.arange(len(row_of_id), dtype=np.int32)
    names = behaviour_names(events)
    columns = {
        "offsets": np.append(starts, events.num_rows).astype(np.int64),
        "item": id_of_row[events["item_row"].to_numpy()],
        "behaviour": _codes(events["behaviour"], names),
        "strength": events["strength"].to_numpy().astype(np.float32),
        "split": events["split"].to_numpy().astype(np.int8),
        "row": events["row"].to_numpy().astype(np.int64),
    }
    if not events["time"].null_count:
        columns["time"] = events["time"].to_numpy()
    if corpus.truth is not None:
        columns |= {"mixture": corpus.truth.mixture, "topics": corpus.truth.topics[:, row_of_id]}
    users = pa.table({"user": events["user"].take(pa.array(starts))}).combine_chunks()
    items = corpus.items.select(["item", *corpus.fields, "file", "line"]).take(pa.array(row_of_id)).combine_chunks()
    return columns, users, items


def behaviour_names(events: pa.Table) -> tuple[str, ...]:
    """Behaviours by id: "" (unknown) first, then in alphabetical order."""
    return ("", *sorted(set(events["behaviour"].unique().to_pylist()) - {""}))


def report(columns: dict[str, np.ndarray], n_items: int, filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts that a reader of results wants to know.

    filters: events, users and items left, as read and after each filter. short_users: with fewer than 3 events.
    tied_events: events at the very time of the user's event before. tied_last: users whose last event is such a one,
    so that row order alone made it the last; both None where there are no times.
    """
    offsets, time = columns["offsets"], columns.get("time")
    lengths = np.diff(offsets)
    return {
        "filters": filters,
        "events": int(offsets[-1]),
        "users": len(lengths),
        "items": n_items,
        "items_without_events": n_items - len(np.unique(columns["item"])),
        "short_users": int((lengths < 3).sum()),
        "history": {"min": int(lengths.min()), "median": float(np.median(lengths)), "max": int(lengths.max())},
        **_ties(offsets, time),
    }


def _ties(offsets: np.ndarray, time: np.ndarray | None) -> dict[str, int | None]:
    if time is None:
        return {"tied_events": None, "tied_last": None}
    tied = np.append(False, time[1:] == time[:-1])
    tied[offsets[:-1]] = False
    return {"tied_events": int(tied.sum()), "tied_last": int(tied[offsets[1:] - 1].sum())}


def _starts(seen: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.append(True, seen[1:] != seen[:-1]))


def _codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> np.ndarray:
    encoded = column.combine_chunks().dictionary_encode()
    code = {name: i for i, name in enumerate(names)}
    of_entry = np.array([code[name] for name in encoded.dictionary.to_pylist()], dtype=np.int16)
    return of_entry[encoded.indices.to_numpy()]
