"""Where a model is good: the means of a per-query table by length of the history and by popularity of the answer.

A table is a dict of equally long columns, one row per query; its float columns are the metrics. Only numpy is needed.
"""

import numpy as np

Table = dict[str, np.ndarray]

HISTORY_BINS = ((0, 0), (1, 5), (6, 10), (11, 20), (21, 50))
"""Events in the whole history, both ends included; what is longer is `history_over_50`."""


def described(
    table: Table, user: np.ndarray, history_length: np.ndarray, item: np.ndarray, item_counts: np.ndarray
) -> Table:
    """The table with what is known of each query: `user`, `history_length`, `item_count` and `cold`.

    user (keys), history_length (events, not cut to what a model sees) and item (catalogue id of the first positive)
    have one entry per query of the *whole* query set and are looked up by the column `query`. item_counts: training
    events of each catalogue item. An item without any is cold.
    """
    query = table["query"]
    count = np.asarray(item_counts)[np.asarray(item)[query]].astype(np.int64)
    facts = {
        "query": query,
        "user": np.asarray(user)[query],
        "history_length": np.asarray(history_length)[query].astype(np.int64),
        "item_count": count,
        "cold": count == 0,
    }
    return facts | {name: column for name, column in table.items() if name != "query"}


def metric_names(table: Table) -> list[str]:
    """The float columns, in their order."""
    return [name for name, column in table.items() if column.dtype.kind == "f"]


def means(table: Table, place: str) -> dict[str, float]:
    """Mean of each metric, under the key place/metric, such as test/ndcg@10."""
    return {f"{place}/{name}": float(table[name].mean()) for name in metric_names(table)}


def slice_means(table: Table, item_counts: np.ndarray, split: str) -> dict[str, float]:
    """Means and number of queries of every slice of a described table that has queries.

    Keys: split/cold/hr@10, split/head/queries, split/history_1-5/ndcg@10, split/history_over_50/queries.
    """
    slices = _by_history(table["history_length"]) | _by_popularity(table["item_count"], item_counts)
    found: dict[str, float] = {}
    for name, rows in slices.items():
        if rows.any():
            found[f"{split}/{name}/queries"] = float(rows.sum())
            found |= means({column: values[rows] for column, values in table.items()}, f"{split}/{name}")
    return found


def popularity_limits(item_counts: np.ndarray) -> tuple[int, int]:
    """(m, h): an item with at least h training events belongs to the head, with at least m to the middle.

    The head is the fewest most popular items that hold a third of all training events, head and middle the fewest that
    hold two thirds, so a slice is as large as the training log makes it likely. Items of equal count stay together, in
    the more popular slice; with a flat log the tail may be empty. Without training events every item is cold.
    """
    counts = np.sort(np.asarray(item_counts))[::-1]
    held = counts.cumsum()
    middle, head = (counts[np.searchsorted(held * 3, held[-1] * share)] for share in (2, 1))
    return int(middle), int(head)


def _by_history(length: np.ndarray) -> dict[str, np.ndarray]:
    bins = {
        f"history_{low}" if low == high else f"history_{low}-{high}": (length >= low) & (length <= high)
        for low, high in HISTORY_BINS
    }
    longest = HISTORY_BINS[-1][1]
    return bins | {f"history_over_{longest}": length > longest}


def _by_popularity(count: np.ndarray, item_counts: np.ndarray) -> dict[str, np.ndarray]:
    middle, head = popularity_limits(item_counts)
    warm = count > 0
    return {
        "cold": ~warm,
        "tail": warm & (count < middle),
        "middle": warm & (count >= middle) & (count < head),
        "head": warm & (count >= head),
    }
