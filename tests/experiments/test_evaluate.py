"""Evaluating a checkpoint gives the numbers of its training anew."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from experiments.evaluate import main


@pytest.fixture
def copied(tiny_runs, tmp_path):
    """A run's folder that a test may write into."""
    return lambda name: shutil.copytree(tiny_runs(name), tmp_path / name)


def call(capsys, *words):
    """Exit status, last line of standard output, standard error."""
    status = main([str(word) for word in words])
    printed, told = capsys.readouterr()
    return status, (printed.splitlines() or [""])[-1], told


@pytest.mark.parametrize("name", ["graph", "sasrec", "popularity", "oracle"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_best_checkpoint_gives_the_numbers_of_the_run(name, split, copied, capsys):
    folder = copied(name)
    result = json.loads((folder / "result.json").read_text())
    table = pq.read_table(folder / f"queries-{split}.parquet")
    (folder / f"queries-{split}.parquet").unlink()
    status, last, told = call(capsys, folder, "--split", split)
    assert (status, last, told) == (0, str(folder / f"queries-{split}.json"), "")
    record = json.loads((folder / f"queries-{split}.json").read_text())
    assert (record["run"], record["split"], record["queries"]) == (name, split, 60)
    assert record["metrics"] == {key: value for key, value in result["metrics"].items() if key.startswith(split)}
    assert record["intervals"] == {key: value for key, value in result["intervals"].items() if key.startswith(split)}
    assert pq.read_table(folder / f"queries-{split}.parquet").equals(table)


def test_another_checkpoint_does_not_pass_for_the_best(copied, capsys):
    folder = copied("sasrec")
    (folder / "best.ckpt").rename(folder / "kept.ckpt")
    before = (folder / "queries-test.parquet").read_bytes()
    status, last, _ = call(capsys, folder, "--checkpoint", folder / "kept.ckpt")
    assert (status, last) == (0, str(folder / "queries-test-kept.json"))
    assert (folder / "queries-test-kept.parquet").is_file()
    assert (folder / "queries-test.parquet").read_bytes() == before


def test_the_table_shows_intervals_and_out_says_where(copied, tmp_path, capsys):
    out = tmp_path / "new" / "numbers.json"
    assert main([str(copied("graph")), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "95% interval" in printed
    assert "test: 60 queries" in printed
    assert printed.splitlines()[-1] == str(out)
    assert {path.name for path in out.parent.iterdir()} == {"numbers.json", "numbers.parquet"}


def test_faults_are_one_line_on_standard_error(copied, tmp_path, tiny_runs, capsys):
    for words, message in (
        ((tmp_path,), "no run folder"),
        ((copied("graph"), "--checkpoint", tiny_runs("sasrec") / "best.ckpt"), "the checkpoint is of another model"),
        ((copied("sasrec"), "--checkpoint", tmp_path / "absent.ckpt"), "no such checkpoint"),
    ):
        status, last, told = call(capsys, *words)
        assert (status, last) == (1, "")
        assert told.startswith("evaluate: ")
        assert message in told
        assert told.count("\n") == 1
