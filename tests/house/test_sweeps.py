"""The sweep of the main question: every strategy, and as many trials for each as for any other."""

import pytest
import yaml

from experiments.config.compose import CONF, compose

RATES = ("low", "middle", "high")


@pytest.fixture(scope="module")
def grid():
    """What conf/sweep/strategies.yaml crosses: the words of each setting."""
    content = yaml.safe_load((CONF / "sweep" / "strategies.yaml").read_text(encoding="utf-8"))
    return {key: str(words).split(",") for key, words in content["hydra"]["sweeper"]["params"].items()}


def test_no_strategy_is_missing_and_each_has_three_rates_and_one_seed(grid):
    assert sorted(grid["strategy"]) == sorted(path.stem for path in (CONF / "strategy").glob("*.yaml"))
    assert tuple(grid["rate"]) == RATES
    assert len(grid["seed"]) == 1
    assert [key for key, words in grid.items() if len(words) > 1] == ["strategy", "rate"]


@pytest.mark.parametrize(
    ("strategy", "moved", "stays"), [("lora", "language_model", "optimizer"), ("frozen", "optimizer", None)]
)
def test_a_rate_is_of_what_the_strategy_trains(strategy, moved, stays):
    """The language model's where something trains there, else that of what stands behind it."""
    own = yaml.safe_load((CONF / "strategy" / f"{strategy}.yaml").read_text(encoding="utf-8"))["learning_rates"]
    configs = [compose([f"strategy={strategy}", f"rate={rate}"]) for rate in RATES]
    rates = {"language_model": [one["language_model_lr"] for one in configs]}
    rates["optimizer"] = [one["optimizer"]["lr"] for one in configs]
    assert rates[moved] == [own[rate] for rate in RATES]
    assert len(set(rates[moved])) == 3
    assert stays is None or len(set(rates[stays])) == 1
