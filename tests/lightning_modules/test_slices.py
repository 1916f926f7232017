"""Slices part the queries: nothing is lost, nothing counted twice, and limits are stated numbers."""

import numpy as np
import pytest

from lightning_modules.slices import described, means, metric_names, popularity_limits, slice_means

COUNTS = np.array([0, 9, 4, 4, 3, 2, 2, 1, 1, 1, 0])  # 27 training events, a third is 9
HISTORY = [f"history_{name}" for name in ("0", "1-5", "6-10", "11-20", "21-50", "over_50")]
POPULARITY = ["cold", "tail", "middle", "head"]


def table(queries, seed=0):
    random = np.random.default_rng(seed)
    asked = {"query": np.arange(queries), "rank": random.integers(1, 99, queries), "hr@10": random.random(queries)}
    return described(
        asked,
        user=np.array([f"u{row}" for row in range(queries)]),
        history_length=random.integers(0, 80, queries),
        item=random.integers(0, len(COUNTS), queries),
        item_counts=COUNTS,
    )


@pytest.mark.parametrize("names", [HISTORY, POPULARITY])
def test_slices_part_the_queries(names):
    whole = table(500)
    found = slice_means(whole, COUNTS, "test")
    sizes = np.array([found[f"test/{name}/queries"] for name in names])
    values = np.array([found[f"test/{name}/hr@10"] for name in names])
    assert sizes.sum() == 500
    assert (sizes * values).sum() / 500 == pytest.approx(whole["hr@10"].mean())


def test_facts_are_found_by_query():
    asked = {"query": np.array([2, 0]), "rank": np.array([5, 1]), "mrr@10": np.array([0.2, 1.0])}
    found = described(asked, np.array(["a", "b", "c"]), np.array([7, 8, 9]), np.array([1, 2, 0]), COUNTS)
    assert list(found) == ["query", "user", "history_length", "item_count", "cold", "rank", "mrr@10"]
    assert found["user"].tolist() == ["c", "a"]
    assert found["history_length"].tolist() == [9, 7]
    assert found["item_count"].tolist() == [0, 9]
    assert found["cold"].tolist() == [True, False]
    assert metric_names(found) == ["mrr@10"]
    assert means(found, "valid") == {"valid/mrr@10": 0.6}


@pytest.mark.parametrize(
    ("length", "name"),
    [(0, "0"), (1, "1-5"), (5, "1-5"), (6, "6-10"), (10, "6-10"), (20, "11-20"), (50, "21-50"), (51, "over_50")],
)
def test_a_history_belongs_to_one_bin(length, name):
    one = table(1) | {"history_length": np.array([length])}
    found = [key for key in slice_means(one, COUNTS, "test") if "/history_" in key]
    assert found == [f"test/history_{name}/queries", f"test/history_{name}/hr@10"]


def test_limits_by_hand():
    # Counts from the top: 9 (a third of 27), 4, 4, 3 (20 held, two thirds is 18), 2, 2, 1, 1, 1.
    assert popularity_limits(COUNTS) == (3, 9)


def test_items_of_equal_count_stay_together():
    # A third of 12 is reached by the first item with 4 events, so all three belong to the head; no tail is left.
    assert popularity_limits(np.array([4, 4, 4])) == (4, 4)


def test_without_training_events_every_item_is_cold():
    found = slice_means(table(10) | {"item_count": np.zeros(10, dtype=np.int64)}, np.zeros(11, dtype=np.int64), "test")
    assert [key for key in found if key.split("/")[1] in POPULARITY] == ["test/cold/queries", "test/cold/hr@10"]
