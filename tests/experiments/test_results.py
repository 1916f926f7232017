"""Per-query tables on disk, whole whoever writes them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq

from experiments.results import write_table


def test_a_table_is_written_whole(tmp_path):
    table = {"query": np.arange(2), "user": np.array(["7", "é"]), "cold": np.array([True, False]), "hr@1": np.ones(2)}
    write_table(tmp_path / "queries-test.parquet", table)
    read = pq.read_table(tmp_path / "queries-test.parquet")
    assert [str(kind) for kind in read.schema.types] == ["int64", "string", "bool", "double"]
    assert read.to_pydict() == {name: column.tolist() for name, column in table.items()}
    assert [file.name for file in tmp_path.iterdir()] == ["queries-test.parquet"]


def test_processes_that_write_the_same_table_do_not_disturb_each_other(tmp_path):
    """As the ranks of a distributed run do: with one temporary for all, one of them would find it gone."""
    table = {"query": np.arange(20_000), "hr@1": np.linspace(0, 1, 20_000)}
    path = tmp_path / "queries-test.parquet"
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: write_table(path, table), range(24))) == [None] * 24
    assert pq.read_table(path)["hr@1"].to_pylist() == table["hr@1"].tolist()
    assert [file.name for file in tmp_path.iterdir()] == ["queries-test.parquet"]
