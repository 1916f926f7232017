"""Weight decay pulls weights to zero and leaves alone what is no weight: biases and norms, in every family."""

import pytest
import torch
from torch import nn

from lightning_modules.heads.graph import GraphHead
from lightning_modules.interests.graph import GraphInterest
from lightning_modules.parameter_groups import parameter_groups
from lightning_modules.parts.families import FAMILIES
from lightning_modules.recommender import Recommender
from tests.lightning_modules.strategies import pairs

WITHOUT_BIASES = ("llama", "mistral", "qwen3", "t5", "mt5", "modernbert")
"""But for T5's tables of them, which strategy=bitfit leaves alone."""


def recommender(encoder):
    return Recommender(encoder, GraphInterest(encoder.dim, 2), GraphHead(torch.tensor([3, 2, 1])))


def of_a_norm(model):
    """Parameters that a norm holds, or what peft puts into a norm's place."""
    norms = [part for part in model.modules() if "norm" in type(part).__name__.lower()]
    norms += [part for part in model.modules() if type(part).__name__ == "LNTuningLayer"]
    return {id(parameter) for part in norms for parameter in part.parameters()}


def spared(model):
    """The language model's trainable parameters that no decay may touch, by name: a norm's, a bias, a table of them."""
    norms = of_a_norm(model)
    return {
        entry.name: entry.parameter
        for entry in model.encoder.trainable()
        if entry.name.removesuffix(".weight").endswith("bias") or id(entry.parameter) in norms
    }


def decaying(model):
    return {id(p) for group in parameter_groups(model) if group.get("weight_decay") != 0.0 for p in group["params"]}


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=() if family in ("bert", "gpt2", "llama", "t5") else pytest.mark.slow)
        for family in [*sorted(FAMILIES), "albert"]
    ],
)
def test_no_bias_and_no_norm_of_any_strategy_decays(family, tiny_models):
    found = {}
    for name in pairs.STRATEGIES:
        outcome = pairs.attempt(name, tiny_models[family])
        if outcome.encoder is not None:
            model = recommender(outcome.encoder)
            found[name] = spared(model)
            touched = decaying(model)
            assert [key for key, parameter in found[name].items() if id(parameter) in touched] == []
    assert len(found) == {"albert": 13, "gpt2": 23}.get(family, 26 - (family in WITHOUT_BIASES))
    assert len(found["full"]) >= 5
    assert len(found.get("layernorm", found["full"])) >= 5
    assert ("bitfit" in found) == (family not in WITHOUT_BIASES)
    assert len(found.get("bitfit", found["full"])) >= 5


@pytest.mark.parametrize("family", ["t5", "mt5"])
def test_a_table_of_biases_does_not_decay_and_a_table_of_words_does(family, tiny_models):
    model = recommender(pairs.build("full", tiny_models[family]))
    touched = decaying(model)
    trained = {entry.name.removeprefix("backbone.pretrained."): entry.parameter for entry in model.encoder.trainable()}
    attention = "encoder.block.0.layer.0.SelfAttention"
    assert trained[f"{attention}.relative_attention_bias.weight"].shape == (32, 2)  # distances, heads
    assert id(trained[f"{attention}.relative_attention_bias.weight"]) not in touched
    assert id(trained[f"{attention}.q.weight"]) in touched
    assert id(trained["shared.weight"]) in touched


def test_matrices_decay(tiny_models):
    model = recommender(pairs.build("full", tiny_models["bert"]))
    matrices = [part.weight for part in model.modules() if isinstance(part, nn.Linear | nn.Embedding)]
    matrices = [weight for weight in matrices if min(weight.shape) > 1]
    assert len(matrices) >= 3 + 2 * 6  # three tables, and in each of two layers four of attention and two beyond
    assert {id(weight) for weight in matrices} <= decaying(model)
