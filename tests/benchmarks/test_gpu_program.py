"""The program that measures on a GPU: what it needs, what it does with faults and time, and what is carried."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file

from benchmarks import gpu
from benchmarks.loops import carried
from benchmarks.loops.place import Place
from benchmarks.measuring.row import Row, Side, stored
from benchmarks.rows.gpu_report import cells, keep
from datamodules.tiny_model import write_tiny_bert

ROW = Row("gpu_name", "what", "TFLOP/s", [Side("ours", "python -m a", 1.0), Side("bare", "python -m b", 2.0)], 0.5, 0.9)
PROBE = Path(__file__).with_name("without_packages.py")


@pytest.mark.slow
def test_it_runs_where_only_what_is_carried_is_installed(tmp_path, repository):
    """What docs/gpu.md lists is enough: everything else cannot be found there, neither as a module nor by name."""
    words = ["matmul", "ranking", "--device", "cpu", "--quick", "--out", str(tmp_path)]
    env = {**os.environ, "INTERESTLAB_DATA": str(repository)}  # neither of the two reads a corpus
    done = subprocess.run([sys.executable, str(PROBE), *words], cwd=repository, env=env, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gpu_matmul.quick.json", "gpu_ranking.quick.json"]


def test_a_measurement_that_fails_is_named_and_the_others_are_made(tmp_path, monkeypatch, capsys):
    def failing(place):
        raise torch.OutOfMemoryError("out of cheese")

    made = {"bad": gpu.Measurement("fails", failing), "good": gpu.Measurement("works", lambda place: [ROW])}
    assert run(monkeypatch, tmp_path, made) == 1
    assert "out of cheese" in (said := capsys.readouterr().out)
    assert "failed: bad" in said
    assert [path.name for path in tmp_path.glob("*.json")] == ["gpu_good.json"]


def test_what_there_is_no_time_for_is_left_out(tmp_path, monkeypatch, capsys):
    made = {"late": gpu.Measurement("never begun", lambda place: [ROW])}
    assert run(monkeypatch, tmp_path, made, "--minutes", "0") == 1
    assert "left out, as 0 minutes were over: late" in capsys.readouterr().out
    assert list(tmp_path.glob("*.json")) == []


def test_a_name_that_is_none(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="no measurement worse"):
        run(monkeypatch, tmp_path, {}, "worse")


def run(monkeypatch, folder, made, *words):
    monkeypatch.setattr(gpu, "measurements", lambda: made)
    monkeypatch.setenv("INTERESTLAB_DATA", str(folder))
    words = ["gpu", *words, "--device", "cpu", "--out", str(folder), "--carried", str(folder / "nothing")]
    monkeypatch.setattr(sys, "argv", words)
    return gpu.main()


def test_results_have_the_form_of_all_benchmarks(tmp_path):
    path = keep([ROW], "name", Place("cpu"), tmp_path)
    kept = json.loads(path.read_text())
    assert kept["reproduce"] == "python -m benchmarks.gpu name --device cpu"
    assert kept["device"] == "cpu"
    assert stored(tmp_path) == [ROW]
    assert cells(ROW) == ("what", "TFLOP/s", "ours 1.00", "bare 2.00", "0.500", "", ">= 0.900", "no")


def test_a_carried_model_is_the_model_in_half_the_space(tmp_path):
    write_tiny_bert(tmp_path / "whole")
    carried.halve(tmp_path / "whole", tmp_path / "half")
    whole, half = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "half"))
    assert {name: w.nbytes // 2 for name, w in whole.items()} == {name: w.nbytes for name, w in half.items()}
    assert all(abs(whole[name] - half[name]).max() < 1e-4 for name in whole)
    names = {path.name for path in (tmp_path / "half").iterdir()}
    assert {"config.json", "vocab.txt", "tokenizer_config.json"} <= names


def test_what_was_carried_is_put_where_it_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERESTLAB_DATA", "")  # of what was absent monkeypatch would not take back what `unpack` sets
    monkeypatch.delenv("INTERESTLAB_DATA")
    for name in ("minilm", "data", "cache/prepared/corpus", "cache/mind_titles"):
        (tmp_path / "carried" / name).mkdir(parents=True)
        (tmp_path / "carried" / name / "file").write_text("carried")
    (tmp_path / "cache" / "mind_titles").mkdir(parents=True)
    (tmp_path / "cache" / "mind_titles" / "file").write_text("own")
    words = carried.unpack(tmp_path / "carried", tmp_path / "cache")
    assert words == (f"backbone.path={tmp_path / 'carried' / 'minilm'}",)
    assert (tmp_path / "cache" / "prepared" / "corpus" / "file").read_text() == "carried"
    assert (tmp_path / "cache" / "mind_titles" / "file").read_text() == "own"
    assert carried.unpack(tmp_path / "nothing") == ()
