"""From per-query tables to the numbers of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datamodules.interest_datamodule import InterestDataModule
from datamodules.storage import atomic_write
from lightning_modules.intervals import table_intervals
from lightning_modules.slices import Table, described, means, slice_means


@dataclass(frozen=True)
class Outcome:
    """Means and 95% intervals by key, such as test/ndcg@10 and test/cold/hr@10."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def collect(tables: dict[str, dict[str, Any]], data: InterestDataModule, folder: Path) -> Outcome:
    """Write FOLDER/queries-SPLIT.parquet for each split and return what they say, slices included."""
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    counts = data.item_counts.numpy()
    for split, table in tables.items():
        full = describe_queries(table, data, split)
        write_table(folder / f"queries-{split}.parquet", full)
        found = summarise(full, counts, split)
        metrics |= found.metrics
        intervals |= found.intervals
    return Outcome(metrics, intervals)


def write_table(path: Path, table: Table) -> None:
    """Write columns to a Parquet file that is whole or absent; processes that write the same do not disturb each
    other."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: pa.array(column) for name, column in table.items()}), sink)
    atomic_write(path, sink.getvalue().to_pybytes())


def summarise(full: Table, item_counts: np.ndarray, split: str) -> Outcome:
    """What one split's described queries say: means, also of every slice; intervals of all queries and of cold ones."""
    intervals = table_intervals(full, split)
    cold = {name: column[full["cold"]] for name, column in full.items()}
    if len(cold["query"]):
        intervals |= table_intervals(cold, f"{split}/cold")
    return Outcome(means(full, split) | slice_means(full, item_counts, split), intervals)


def describe_queries(table: Table, data: InterestDataModule, split: str) -> Table:
    """The table with user, history length and the answer's popularity."""
    queries = data.split_of.queries[split]
    return described(
        table,
        user=np.array(data.prepared.users)[queries.user],
        history_length=queries.stop - data.log.offsets[queries.user],
        item=data.log.item[queries.events[queries.offsets[:-1]]],
        item_counts=data.item_counts.numpy(),
    )
