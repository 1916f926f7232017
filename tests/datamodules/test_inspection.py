"""Every fault of a corpus has one message with file, line and the way out, and leaves nothing on disk."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from datamodules.corpus import DataError, Truth
from datamodules.preparing.preparation import Filters, prepare
from tests.datamodules.small_corpus import FixedSource, corpus, entries, items

GOOD = [("a", "x", 1.0), ("a", "y", 2.0), ("b", "x", 3.0)]


def fails(root, faulty):
    with pytest.raises(DataError) as caught:
        prepare(FixedSource(faulty), Filters(), root)
    assert all(name.endswith(".lock") for name in entries(root / "prepared"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("events", "keys", "message"),
    [
        (
            [*GOOD, ("c", "q", 1.0), ("c", "x", 1.0), ("c", "r", 1.0)],
            ["x", "y"],
            "log.tsv, line 4: item 'q' is not in the items table (2 interactions are with such items); add it there",
        ),
        (
            [*GOOD, ("c", "x", None), ("c", "y", None)],
            None,
            "log.tsv, line 4: 2 of 5 interactions have no time, this one first; give all a time, or none",
        ),
        ([*GOOD, ("c", "x", float("inf"))], None, "log.tsv, line 4: the time inf is no number of seconds"),
        ([*GOOD, ("c", "x", -5e30)], None, "log.tsv, line 4: the time -5e+30 lies outside the years 1 to 9999"),
        ([*GOOD, ("c", "x", float("nan"))], None, "log.tsv, line 4: the time nan is no number of seconds"),
        ([*GOOD, (None, "x", 1.0)], None, "log.tsv, line 4: interaction without user; fill it in"),
        ([*GOOD, ("c", "x", 1.0, None)], None, "log.tsv, line 4: interaction without behaviour; fill it in"),
        (
            [*GOOD, ("c", "x", 1.0, "view", None, "dev")],
            None,
            "log.tsv, line 4: split 'dev' is none of train, valid, test",
        ),
        (GOOD, ["x", "y", "x"], "items.tsv, line 3: item 'x' is listed a second time; keep one of the lines"),
        (GOOD, ["x", None, "y"], "items.tsv, line 2: item without item; fill it in or remove the line"),
        ([], ["x"], "corpus 'small' has no interactions; check that the raw files are whole"),
    ],
)
def test_a_faulty_row_is_named_by_file_and_line(tmp_path, events, keys, message):
    assert fails(tmp_path, corpus(events, keys=keys, title=["text"] * len(keys or ["x", "y"]))).startswith(message)


def test_a_lacking_column_is_named_and_the_present_ones_are_listed(tmp_path):
    whole = corpus(GOOD)
    lacking = replace(whole, interactions=whole.interactions.drop_columns(["strength", "line"]))
    assert fails(tmp_path, lacking) == (
        "the interactions of 'small' lack strength, line; "
        "the source gives only: user, item, time, behaviour, split, file"
    )
    assert fails(tmp_path, replace(whole, fields=("title", "genre"))).startswith("the items of 'small' lack genre")


def test_an_empty_items_table_is_reported(tmp_path):
    assert fails(tmp_path, replace(corpus(GOOD), items=items([], title=[]))).startswith("corpus 'small' has no items")


@pytest.mark.parametrize(("mixture", "topics"), [((2, 4), (4, 2)), ((3, 4), (4, 3)), ((3, 4), (5, 2))])
def test_a_truth_of_another_size_is_refused(tmp_path, mixture, topics):
    message = fails(tmp_path, corpus(GOOD, truth=Truth(np.zeros(mixture), np.zeros(topics))))
    assert message.endswith("it needs (interactions, K) x (K, items)")


def test_chunked_tables_are_as_good_as_whole_ones(tmp_path):
    whole = corpus(GOOD)
    parts = replace(
        whole,
        interactions=pa.concat_tables([whole.interactions.slice(i, 1) for i in range(3)]),
        items=pa.concat_tables([whole.items.slice(0, 1), whole.items.slice(1)]),
    )
    one = prepare(FixedSource(whole, "whole"), Filters(), tmp_path)
    assert prepare(FixedSource(parts, "parts"), Filters(), tmp_path).digest == one.digest
