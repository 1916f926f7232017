"""What has no effect is said, what is monitored must exist."""

import pytest

from experiments.config.check import ConfigError
from experiments.config.compose import compose
from experiments.config.idle import idle_settings, require_monitor


def test_the_default_composition_has_no_idle_choice() -> None:
    assert idle_settings(compose()) == []


def test_text_that_nothing_reads_is_named() -> None:
    found = idle_settings(compose(["backbone=item_id", "strategy=full"]))
    assert len(found) == 1
    assert found[0].startswith("text: ")
    assert "~text" in found[0]


def test_a_hybrid_reads_text() -> None:
    assert idle_settings(compose(["backbone=hybrid"])) == []


def test_a_scorer_in_closed_form_has_no_use_for_a_head() -> None:
    assert idle_settings(compose(["experiment=popularity"])) == []
    found = idle_settings(compose(["experiment=popularity"]) | {"head": {"_target_": "x"}})
    assert [sentence.split(":")[0] for sentence in found] == ["head"]


def test_a_misspelt_monitor_is_refused_with_the_nearest_word() -> None:
    require_monitor("valid/ndcg@10", ["hr@10", "ndcg@10"])
    with pytest.raises(ConfigError, match=r"ndgc@10.*ndcg@10"):
        require_monitor("valid/ndgc@10", ["hr@10", "ndcg@10"])
