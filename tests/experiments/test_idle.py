"""What has no effect is said, what is monitored must exist."""

import pytest

from experiments.config.check import ConfigError
from experiments.config.compose import CONF, compose
from experiments.config.idle import idle_settings, require_one_ranker
from experiments.config.ranker import trains


def test_the_default_composition_has_no_idle_choice() -> None:
    assert idle_settings(compose()) == []


def test_text_that_nothing_reads_is_named() -> None:
    found = idle_settings(compose(["backbone=item_id", "strategy=full"]))
    assert len(found) == 1
    assert found[0].startswith("text: ")
    assert "~text" in found[0]


@pytest.mark.parametrize("kept", ["float16", "none"])
def test_what_no_language_model_says_is_not_kept(kept: str) -> None:
    found = idle_settings(compose(["backbone=item_id", "strategy=full", "~text", f"frozen_states={kept}"]))
    assert found == ["frozen_states: no language model has layers whose output could be kept; leave it out"]


def test_without_a_language_model_nothing_is_rounded() -> None:
    found = idle_settings(compose(["backbone=item_id", "strategy=full", "~text", "tf32=true"]))
    assert found == ["tf32: only a language model's products are rounded, and there is none; leave it out"]


def test_a_hybrid_reads_text() -> None:
    assert idle_settings(compose(["backbone=hybrid"])) == []


def test_a_scorer_in_closed_form_has_no_use_for_a_head() -> None:
    assert idle_settings(compose(["experiment=popularity"])) == []
    found = idle_settings(compose(["experiment=popularity"]) | {"head": {"_target_": "x"}})
    assert [sentence.split(":")[0] for sentence in found] == ["head"]


BACKBONES = sorted(file.stem for file in (CONF / "backbone").glob("*.yaml") if "path:" in file.read_text("utf-8"))
SHAPED = ["backbone.pooling=cls", "backbone.whiten=true", "backbone.dim=8", "backbone.first_layers=3"]


def test_a_model_that_is_asked_in_words_is_asked_as_it_is() -> None:
    assert idle_settings(compose(["experiment=untrained", "scorer=likelihood"])) == []
    found = idle_settings(compose(["experiment=untrained", "scorer=likelihood", "backbone.dropout=0.1", *SHAPED]))
    assert [sentence.split(":")[0] for sentence in found] == [
        *("backbone.dim", "backbone.first_layers", "backbone.dropout")
    ]
    assert found[0] == "backbone.dim: LikelihoodScorer does not read it; leave it out"


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_a_backbones_yaml_says_is_nobodys_choice(backbone: str) -> None:
    for scorer in ("likelihood", "untrained"):
        assert idle_settings(compose(["experiment=untrained", f"scorer={scorer}", f"backbone={backbone}"])) == []


def test_a_model_that_is_only_read_drops_nothing() -> None:
    found = idle_settings(compose(["experiment=untrained", "backbone.dropout=0.1", *SHAPED]))
    assert found == ["backbone.dropout: UntrainedScorer does not read it; leave it out"]


EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


def test_every_experiment_that_trains_takes_a_learning_rate() -> None:
    trained = [name for name in EXPERIMENTS if trains(compose([f"experiment={name}"]))]
    assert len(trained) >= 2
    found = {name: compose([f"experiment={name}", "learning_rate=0.05"])["optimizer"]["lr"] for name in trained}
    assert found == dict.fromkeys(trained, 0.05)
    assert compose(["experiment=interest_graph_hybrid"])["optimizer"]["lr"] == 0.002


@pytest.mark.parametrize("words", [[], ["experiment=popularity"], ["experiment=oracle"], ["backbone=item_id"]])
def test_a_model_or_a_closed_form_ranks(words: list[str]) -> None:
    require_one_ranker(compose(words))


def test_a_model_is_not_ranked_in_the_name_of_popularity() -> None:
    with pytest.raises(ConfigError, match=r"scorer: PopularityScorer is fitted in closed form.*experiment=popularity"):
        require_one_ranker(compose(["scorer=popularity"]))


def test_without_a_model_there_is_none_to_serve() -> None:
    with pytest.raises(ConfigError, match="backbone: TrainedScorer serves a model that was trained"):
        require_one_ranker(compose(["~backbone"]))
