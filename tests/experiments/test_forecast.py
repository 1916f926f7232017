"""What a run will take, by finished ones like it."""

from dataclasses import replace

import pytest

from experiments.runs.forecast import Forecast, forecast, forecast_by_words, seconds_of
from experiments.runs.read import Run
from tests.experiments.fabricated import config

HERE = "a processor, 2 cores, no GPU"
COST = {"seconds": 100.0, "epochs": 5, "seconds_per_epoch": 12.0, "seconds_per_validation": 3.0, "peak_memory_bytes": 7}


def run(name, strategy="lora", seed=0, hardware=HERE, **cost):
    words = (f"strategy={strategy}", f"seed={seed}")
    return Run(name, "done", None, words, config(strategy, seed), cost=COST | cost, provenance={"hardware": hardware})


def test_seeds_rates_and_schedules_cost_nothing_and_strategies_do():
    finished = [run("a", seed=1), run("b", seed=2, seconds=120.0, peak_memory_bytes=9), run("c", "full", seconds=900.0)]
    asked = config("lora", 7) | {"optimizer": {"lr": 0.5}, "callbacks": {"early_stopping": {"patience": 2}}}
    finished = [replace(one, config=one.config | {"optimizer": {"lr": 0.1}}) for one in finished]
    assert forecast(asked, HERE, finished) == Forecast(110.0, 9, ("a", "b"))
    assert forecast(asked | {"tokens_per_chunk": 99}, HERE, finished) == Forecast()


def test_another_machine_says_nothing():
    assert forecast(config(), HERE, [run("a", hardware="another")]) == Forecast()


@pytest.mark.parametrize(("epochs", "seconds"), [(5, 100.0), (10, 175.0), (1, 40.0)])
def test_more_epochs_take_longer_by_themselves_and_their_validations(epochs, seconds):
    """By hand: 25 s for what happens once, 12 + 3 an epoch."""
    asked = config() | {"trainer": {"max_epochs": epochs}}
    assert forecast(asked, HERE, [run("a")]).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(("epochs", "seconds"), [(0, 0.0), (5, 165.0), (20, 660.0)])
def test_no_time_is_negative_though_a_resumed_run_told_its_last_attempt_alone(epochs, seconds):
    """By hand: 33 s an epoch with its validation, twenty of which cannot have taken 20 s."""
    cost = {"seconds": 20, "epochs": 20, "seconds_per_epoch": 30, "seconds_per_validation": 3}
    assert seconds_of(Run("resumed", "done", cost=cost), epochs) == seconds


def test_what_trains_nothing_takes_what_it_took():
    scorer = Run("popularity", "done", cost={"seconds": 4.0})
    assert seconds_of(scorer, 10) == 4.0
    assert seconds_of(Run("unknown", "done"), 10) is None


def test_a_job_that_never_began_is_known_by_its_words_alone():
    job = Run("job 3", "not run", None, ("strategy=lora", "seed=9", "rate=high"))
    assert forecast_by_words(job, [run("a"), run("b", "full", seconds=7.0)]) == Forecast(100.0, 7, ("a",))
