"""A prepared folder opens without any engine or model library, and says so where it is damaged."""

import json
import pickle

import numpy as np
import pytest

from datamodules.corpus import DataError
from datamodules.preparing.prepared import Prepared, QuerySet
from tests.datamodules.small_corpus import output_of, prepared, random_events, random_truth

LIGHT = """
import sys
from pathlib import Path
from datamodules.preparing.prepared import Prepared
p = Prepared.open(Path(sys.argv[1]))
p.users, p.item_keys, p.item.sum()
heavy = {"ibis", "duckdb", "torch", "transformers", "pandas", "lightning", "pytorch_lightning", "peft"}
print(sorted(heavy & set(sys.modules)))
"""
REUSE = """
import sys
from pathlib import Path
from datamodules.preparing.preparation import Filters, prepare
from tests.datamodules.small_corpus import FixedSource, corpus, random_events
print(prepare(FixedSource(corpus(random_events(0))), Filters(), Path(sys.argv[1])).digest)
print(sorted({"ibis", "duckdb", "torch", "transformers"} & set(sys.modules)))
"""
COLUMNS = ["behaviour", "item", "offsets", "row", "split", "strength", "time"]


def test_opening_loads_no_engine_and_no_model_library(tmp_path):
    p = prepared(tmp_path, random_events(0))
    assert output_of(LIGHT, p.folder) == "[]\n"


def test_preparing_what_is_prepared_loads_none_either(tmp_path):
    p = prepared(tmp_path, random_events(0))
    assert output_of(REUSE, tmp_path) == f"{p.digest}\n[]\n"


def test_columns_are_mapped_and_cannot_be_written_to(tmp_path):
    p = prepared(tmp_path, random_events(0))
    for name in COLUMNS:
        assert isinstance(getattr(p, name), np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            getattr(p, name)[0] = 0


def test_a_pickle_is_the_path(tmp_path):
    p = prepared(tmp_path, random_events(0, n=3000))
    wire = pickle.dumps(p)
    assert len(wire) < 1000
    again = pickle.loads(wire)
    assert again.digest == p.digest
    np.testing.assert_array_equal(again.item, p.item)


@pytest.mark.parametrize("name", [*(f"{column}.npy" for column in COLUMNS), "topics.npy", "items.arrow", "users.arrow"])
@pytest.mark.parametrize("how", ["cut short", "absent"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, name, how):
    events = random_events(0, n=50)
    truth = random_truth(np.random.default_rng(0), 50, len({event[1] for event in events}))
    file = prepared(tmp_path, events, truth=truth).folder / name
    size, kept = file.stat().st_size, 0
    if how == "absent":
        file.unlink()
    else:
        kept = size - 1
        file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DataError) as caught:
        Prepared.open(file.parent)
    expected = f"{file}: has {kept:,} bytes, {size:,} were written; delete the folder {file.parent}, and the next run"
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_damaged_description_is_named(tmp_path, text):
    folder = prepared(tmp_path, random_events(0)).folder
    (folder / "meta.json").write_text(text)
    with pytest.raises(DataError, match=r"meta.json: cannot be read .* delete the folder"):
        Prepared.open(folder)


@pytest.mark.parametrize("name", ["item.npy", "users.arrow"])
def test_a_file_of_the_right_size_and_wrong_content_is_named(tmp_path, name):
    file = prepared(tmp_path, random_events(0)).folder / name
    file.write_bytes(b"?" * file.stat().st_size)
    with pytest.raises(DataError, match=rf"{name}: is not a .* delete the folder"):
        Prepared.open(file.parent)


def test_the_description_is_readable_json(tmp_path):
    p = prepared(tmp_path, random_events(0), keys=[f"i{i}" for i in range(30)], 标题=["新闻"] * 30)
    meta = json.loads((p.folder / "meta.json").read_text(encoding="utf-8"))
    assert meta["report"] == p.report
    assert meta["fields"] == ["标题"]
    assert p.items["标题"][0].as_py() == "新闻"


def test_queries_follow_each_history(tmp_path):
    # users a, b, c own events 0..3, 4..5, 6; asked from 2 to 4, from 5 to 5 (nothing asked), from 6 (no history) to 7
    events = [("a", "x", 1.0), ("a", "y", 2.0), ("a", "z", 3.0), ("a", "x", 4.0)]
    p = prepared(tmp_path, [*events, ("b", "x", 5.0), ("b", "y", 6.0), ("c", "z", 7.0)])
    asked = QuerySet.following(p, np.array([2, 6, 6]), np.array([4, 6, 7]))
    assert asked.user.tolist() == [0]
    assert asked.stop.tolist() == [2]
    assert asked.time.tolist() == [2.0]
    assert asked.offsets.tolist() == [0, 2]
    assert asked.events.tolist() == [2, 3]


def test_the_end_of_a_prefix_is_found_user_by_user(tmp_path):
    p = prepared(tmp_path, [("a", "x", 1.0), ("a", "y", 2.0), ("b", "x", 5.0), ("c", "x", 0.0)])
    assert p.ends(p.time < 2.0).tolist() == [1, 2, 4]
    assert p.ends(p.time < 9.0).tolist() == [2, 3, 4]
