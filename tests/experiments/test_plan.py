"""Which run a configuration is, before anything is started."""

from pathlib import Path

import pytest

from experiments.config.check import ConfigError
from experiments.runs.plan import Plan, plan_words

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
