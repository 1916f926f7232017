"""Which run a configuration is, before anything is started."""

from pathlib import Path

import pytest

from experiments.config.check import ConfigError
from experiments.runs.folder import RunFolder
from experiments.runs.plan import Plan, plan_words
from experiments.runs.sweep import _tell_of_others, grid_digest

SMALL = ("datamodule.source.users=30", "datamodule.source.items=40", "datamodule.source.events=8")


def planned(folder: Path, *words: str) -> Plan:
    """The plan of these words on the command line."""
    return plan_words([*SMALL, f"runs_dir={folder}", *words])


def test_processes_and_precision_name_a_model_and_not_a_closed_form(tmp_path: Path) -> None:
    two = ("trainer.devices=2", "trainer.precision=bf16-mixed", "trainer.accelerator=cpu")
    alone, many = (planned(tmp_path, "experiment=sasrec", *words).folder.id for words in ((), two))
    assert alone != many
    alone, many = (planned(tmp_path, "experiment=popularity", *words).folder.id for words in ((), two))
    assert alone == many


def test_a_model_beside_a_closed_form_is_refused_before_data_are_prepared(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PopularityScorer is fitted in closed form"):
        planned(tmp_path, "scorer=popularity")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "nearest"),
    [(["monitor=valid/ndgc@10"], "did you mean 'valid/ndcg@10'"), (["monitor=valid/hr@7"], "valid/hr@")],
)
def test_a_monitor_that_nothing_measures_is_refused_before_data_are_prepared(
    words: list[str], nearest: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"not computed in validation.*{nearest}"):
        planned(tmp_path, *words)
    assert list(tmp_path.iterdir()) == []


def test_adaptation_is_watched_by_the_loss_of_words_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="valid/ndcg@10' is not computed in validation; there is: valid/loss"):
        plan_words([*SMALL, f"runs_dir={tmp_path}", "monitor=valid/ndcg@10"], "adapt")


@pytest.mark.parametrize(
    "word",
    [
        *("learning_rate=1e-4", "rate=low,high", "parents=[a]", "backbone.path=x", "trainer.precision=bf16-mixed"),
        *("trainer.devices=2", "+callbacks.ema.decay=0.9", "name_of_mine=1"),
    ],
)
def test_sweeps_of_other_jobs_have_other_names(word: str) -> None:
    assert grid_digest("train", ["seed=0,1", word]) != grid_digest("train", ["seed=0,1"])


@pytest.mark.parametrize(
    "word",
    [
        *("runs_dir=x", "logger=csv,wandb", "logger.offline=false", "rerun=all", "~callbacks.progress"),
        *("callbacks.learning_rate.logging_interval=epoch", "datamodule.num_workers=2", "+logger@logger.mine=csv"),
    ],
)
def test_what_is_only_watched_names_no_sweep(word: str) -> None:
    assert grid_digest("train", [word, "seed=0,1", "head=dot"]) == grid_digest("train", ["head=dot", "seed=0,1"])


def test_a_sweep_says_whose_name_it_takes_and_nothing_where_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RunFolder(tmp_path)
    before = [{"id": "a", "overrides": ["seed=0"]}, {"id": None, "overrides": ["seed=1"], "error": "no data"}]
    store.write("mine.json", {"name": "mine", "overrides": ["seed=0,1"], "runs": before})
    further = {"id": "c", "overrides": ["seed=2"]}
    renamed = [{"id": "a2", "overrides": ["rerun=all", "seed=0"]}, {"id": "b", "overrides": ["seed=1"]}]
    for silent in (before, [*before, further], [*renamed, further]):
        _tell_of_others(store, "mine", silent)
    _tell_of_others(store, "new", [further])
    assert capsys.readouterr() == ("", "")
    _tell_of_others(store, "mine", [before[0], further])
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("name=mine: ")
    assert "named 1 jobs that this sweep has not, such as seed=1;" in line
