"""The programs that make a table of many runs: what they run again, and that they come to their end."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import label_efficiency, strategies_ml100k
from benchmarks.strategies_ml100k import MONITOR, every_strategy, seeded_again
from benchmarks.sweeping import keep_evidence
from experiments.runs.provenance import ROOT
from experiments.runs.read import read_run
from tests.experiments.fabricated import write_run, write_sweep


def trial(strategy: str, rate: str, valid: float, status: str = "done") -> SimpleNamespace:
    return SimpleNamespace(
        status=status,
        metrics={MONITOR: valid} if status == "done" else {},
        settings=lambda: {"strategy": strategy, "rate": rate},
    )


def test_the_best_five_and_those_that_are_always_there_get_more_seeds() -> None:
    picked = [trial(f"s{k}", "middle", valid=k / 100) for k in range(8)]
    picked += [trial("full", "high", 0.001), trial("frozen", "high", 0.9), trial("broken", "high", 0.0, "failed")]
    made = seeded_again(picked)
    assert [words[1] for words in made] == [
        *("strategy=frozen", "strategy=s7", "strategy=s6", "strategy=s5", "strategy=s4", "strategy=full"),
    ]
    assert made[0][2:] == ["rate=high", "seed=1,2"]
    assert len({words[0] for words in made}) == len(made)  # each a sweep of its own name


def test_every_strategy_of_the_configuration_is_in_the_table() -> None:
    assert len(every_strategy()) == 26


def test_each_share_of_labels_has_its_lengths() -> None:
    assert label_efficiency.EPOCHS.keys() == label_efficiency.PARENTS_EPOCHS.keys()
    assert list(label_efficiency.EPOCHS) == sorted(label_efficiency.EPOCHS)
    assert set(label_efficiency.STRATEGIES) <= set(every_strategy())


def test_what_adaptation_gives_is_told_of_the_same_strategy_and_labels(tmp_path: Path) -> None:
    """By hand: the adapted run of lora at .05 has .25 more on every one of four queries, that of full the same."""
    runs = {}
    for name, strategy, share, more in (
        ("a", "lora", 0.05, 0.0),
        ("b", "full", 0.05, 0.0),
        ("c", "lora", 0.2, 0.5),
        ("d", "lora", 0.05, 0.25),
        ("e", "full", 0.05, 0.0),
    ):
        words = [f"strategy={strategy}", f"{label_efficiency.SHARE}={share}"]
        write_run(tmp_path, name, [x + more for x in (0.0, 0.1, 0.2, 0.3)], strategy, overrides=words)
        runs[name] = read_run(tmp_path / name)
    grid = label_efficiency.adaptation_gains([runs[name] for name in "abc"], [runs[name] for name in "de"])
    assert [[cell.text for cell in row] for row in grid.rows] == [
        ["lora", "0.05", "+0.2500", "[+0.2500, +0.2500]", "0.250"],  # 4 equal signs have p 2/16, times 2 rows
        ["full", "0.05", "+0.0000", "[+0.0000, +0.0000]", "1.000"],
    ]


def test_evidence_has_also_what_the_runs_began_from(tmp_path: Path) -> None:
    write_run(tmp_path, "adapted")
    write_run(tmp_path, "head", provenance={"parents": ["adapted"]})
    write_run(tmp_path, "lora", provenance={"parents": ["adapted", "head"]})
    keep_evidence([write_sweep(tmp_path, "one", [("lora", ["strategy=lora"])])], tmp_path / "kept")
    assert {path.stem for path in (tmp_path / "kept" / "runs").iterdir()} == {"adapted", "head", "lora"}


def test_evidence_says_nothing_of_the_machine_that_it_was_made_on(tmp_path: Path) -> None:
    place = tmp_path / "runs"
    folders = {"data_dir": f"{tmp_path}/corpora", "runs_dir": str(place), "cache_dir": f"{place}/cache"}
    changes = {**folders, "source": {"data_dir": folders["data_dir"]}, "code": f"{ROOT}/conf"}
    write_run(place, "lora", changes=changes)
    keep_evidence([write_sweep(place, "one", [("lora", ["strategy=lora"])])], tmp_path / "kept")
    kept = json.loads((tmp_path / "kept" / "runs" / "lora.json").read_text())
    assert [kept["config"][name] for name in folders] == ["data", "runs", "runs/cache"]
    assert kept["config"]["source"] == {"data_dir": "data"}
    assert kept["config"]["code"] == "./conf"
    assert kept["metrics"] == json.loads((place / "lora" / "result.json").read_text())["metrics"]


@pytest.mark.slow
def test_the_table_of_two_strategies_comes_to_its_end(monkeypatch, tmp_path: Path, capfd) -> None:
    """On simulated data, with a tiny model."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(strategies_ml100k, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(strategies_ml100k, "SETTING", "backbone=bert_tiny")
    monkeypatch.setattr(strategies_ml100k, "QUIET", (*strategies_ml100k.QUIET, f"runs_dir={tmp_path}/runs"))
    monkeypatch.setattr(
        sys, "argv", ["table", "--only", "full", "lora", "--epochs", "1", "--results", f"{tmp_path}/made"]
    )
    assert strategies_ml100k.main() == 0
    made = tmp_path / "made"
    assert {path.name for path in made.iterdir()} == {"table.md", "pareto.png", "pareto.pdf", "runs"}
    kept = [json.loads(path.read_text()) for path in (made / "runs").glob("*.json")]
    assert len(kept) == 2 * 2 + 2 * 2  # two rates of one seed, then two seeds of the chosen rate
    assert {one["config"]["parents"][0].split("-")[2] for one in kept} == {"frozen"}
    table = (made / "table.md").read_text()
    assert "| lora " in table
    assert "| full " in table
