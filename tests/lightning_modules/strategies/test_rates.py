"""Each strategy brings three learning rates, says where they come from, and trains what the table at the start says."""

import pytest
import torch
import yaml

from lightning_modules.callbacks.startup_table import startup_table
from lightning_modules.heads.graph import GraphHead
from lightning_modules.interests.graph import GraphInterest
from lightning_modules.recommender import Recommender
from tests.lightning_modules.strategies import pairs

NAMES = ("low", "middle", "high")


@pytest.mark.parametrize("name", pairs.STRATEGIES)
def test_rates_ascend_and_name_their_source(name):
    text = (pairs.FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    rates = yaml.safe_load(text)["learning_rates"]
    assert tuple(rates) == NAMES
    assert 0.0 < rates["low"] < rates["middle"] < rates["high"] < 1.0
    line = next(line for line in text.splitlines() if line.startswith("learning_rates:"))
    said = line.partition("#")[2].strip()
    assert said.startswith("source: ") or "no paper" in said, "say in the line's comment where the rates come from"


@pytest.mark.parametrize("name", pairs.STRATEGIES)
def test_the_table_at_the_start_says_what_the_strategy_declares(name, tiny_models):
    encoder = pairs.build(name, tiny_models["bert"])
    model = Recommender(encoder, GraphInterest(encoder.dim, 2), GraphHead(torch.tensor([3, 2, 1])))
    table = startup_table(model)
    parts, trains, of, _ = (list(column.cells) for column in table.columns)
    said = {part: int(count.replace(",", "")) for part, count in zip(parts, trains, strict=True)}
    inner = pairs.pretrained_names(encoder)
    declared = sum(parameter.numel() for key, parameter in inner.items() if encoder.plan.trains(key))
    assert said["language model"] == declared
    assert int(of[0].replace(",", "")) == sum(parameter.numel() for parameter in inner.values())
    read = encoder.plan.reading
    beside = 0 if read is None else sum(parameter.numel() for parameter in read.parameters())
    assert said.get("beside it: what reads its layers", 0) == beside
    own = sum(item.parameter.numel() for item in encoder.trainable() if item.of_strategy)
    assert own == declared + beside
    assert (own > 0) == (name != "frozen")
