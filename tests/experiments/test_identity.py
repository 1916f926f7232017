"""Equal runs have equal names, different ones different names, and nothing else moves a name."""

import copy
import json
import random

import pytest

from experiments.config import identity
from experiments.config.compose import compose
from experiments.config.defaults import defaults, frozen
from experiments.config.identity import Circumstances, essence, run_digest, run_name

HERE = Circumstances(data="d", precision="32-true", world_size=1)


@pytest.fixture(scope="module")
def config():
    return compose(["backbone=item_id", "~text"])


def _digest(config, **changes):
    return run_digest(config, Circumstances(**{**vars(HERE), **changes}))


def _shuffled(value, generator):
    if not isinstance(value, dict):
        return value
    keys = list(value)
    generator.shuffle(keys)
    return {key: _shuffled(value[key], generator) for key in keys}


def test_the_order_of_keys_does_not_count(config):
    assert _digest(_shuffled(config, random.Random(3))) == _digest(config)


def test_a_default_may_be_written_out_or_left_out(config):
    written = copy.deepcopy(config)
    written["optimizer"] |= {"eps": 1e-8, "betas": [0.9, 0.999], "amsgrad": False}
    written["callbacks"]["ema"] = None
    written["datamodule"]["users_per_step"] = 128
    assert _digest(written) == _digest(config)


def test_a_whole_number_given_for_a_float_is_that_float(config):
    one, same = copy.deepcopy(config), copy.deepcopy(config)
    one["optimizer"]["lr"], same["optimizer"]["lr"] = 1, 1.0
    assert _digest(one) == _digest(same)


def test_one_batch_is_not_all_batches(config):
    """Lightning reads limit_train_batches=1 as one batch, 1.0 as all: int and float stay apart where both fit."""
    few, whole = copy.deepcopy(config), copy.deepcopy(config)
    few["trainer"]["limit_train_batches"], whole["trainer"]["limit_train_batches"] = 1, 1.0
    assert _digest(few) != _digest(whole)


@pytest.mark.parametrize(
    "override",
    [
        "logger=none",
        "name=paper",
        "rerun=all",
        "data_dir=elsewhere",
        "runs_dir=elsewhere",
        "cache_dir=elsewhere",
        "trainer.log_every_n_steps=1",
        "+trainer.enable_progress_bar=false",
        "callbacks.progress=null",
        "+datamodule.num_workers=2",
    ],
)
def test_what_changes_no_result_changes_no_name(override, config):
    assert _digest(compose(["backbone=item_id", "~text", override])) == _digest(config)


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "head=dot",
        "head.tau=0.3",
        "optimizer.lr=0.5",
        "trainer.max_epochs=3",
        "callbacks=ema",
        "callbacks.early_stopping=null",
        "monitor=valid/hr@10",
        "datamodule.source.users=60",
        "datamodule.users_per_step=64",
    ],
)
def test_what_changes_a_result_changes_the_name(override, config):
    assert _digest(compose(["backbone=item_id", "~text", override])) != _digest(config)


def test_circumstances_count(config, monkeypatch):
    names = {
        _digest(config),
        _digest(config, data="e"),
        _digest(config, precision="bf16-mixed"),
        _digest(config, world_size=2),
        _digest(config, pretrained={"backbone.path": "x"}),
        _digest(config, parents=("a",)),
    }
    monkeypatch.setattr(identity, "RESULTS_EPOCH", identity.RESULTS_EPOCH + 1)
    assert len(names | {_digest(config)}) == 7


def test_a_pretrained_model_is_its_files_wherever_they_lie():
    here, there = compose(["backbone=minilm"]), compose(["backbone=minilm", "backbone.path=copy/of/it"])
    assert _digest(here) == _digest(there)


def test_a_folder_that_a_source_does_not_compare_does_not_count():
    plain = compose(["datamodule=movielens"])
    moved = compose(["datamodule=movielens", "+datamodule.source.root=elsewhere"])
    assert essence(moved["datamodule"], "datamodule") == essence(plain["datamodule"], "datamodule")


def test_where_nothing_trains_the_settings_of_training_do_not_count():
    short, long = (compose(["experiment=popularity", f"trainer.max_epochs={epochs}"]) for epochs in (1, 9))
    assert _digest(short) == _digest(long)
    assert run_name(short, {"datamodule": "simulator", "scorer": "popularity"}) == "simulator-popularity-s0"
    untrained = {
        "datamodule": "simulator",
        "backbone": "minilm",
        "scorer": "untrained",
        "strategy": "lora",
        "head": "dot",
    }
    assert run_name(compose(["experiment=untrained"]), untrained) == "simulator-minilm-untrained-s0"


def test_a_name_can_be_read(config):
    choices = {
        "datamodule": "simulator",
        "backbone": "item_id",
        "strategy": "lora",
        "head": "graph",
        "scorer": "trained",
    }
    assert run_name(config, choices) == "simulator-item_id-lora-graph-s0"


def test_a_changed_default_raises_the_results_epoch(repository):
    """If this fails: raise RESULTS_EPOCH if numbers change, then python -m experiments.config.defaults FILE."""
    kept = json.loads((repository / "tests/experiments/frozen_defaults.json").read_text(encoding="utf-8"))
    today = defaults()
    assert len(today) >= 30
    changed = {
        f"{target}.{name}": f"{old} -> {today[target][name]}"
        for target, arguments in kept["defaults"].items()
        for name, old in arguments.items()
        if target in today and name in today[target] and today[target][name] != old
    }
    assert changed == {}
    assert kept["results_epoch"] == frozen()["results_epoch"]
