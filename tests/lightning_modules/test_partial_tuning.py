"""Strategies that inject nothing and choose among a model's own parameters, with a rate and a start for each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.schedulers import forget_what_waits, held_back, warmup_constant
from lightning_modules.strategies.bitfit import BitfitStrategy
from lightning_modules.strategies.full import FullStrategy
from lightning_modules.strategies.full_llrd import FullLlrdStrategy
from lightning_modules.strategies.layernorm import LayernormStrategy
from lightning_modules.strategies.top_k import TopKStrategy
from lightning_modules.strategies.top_k_gradual import TopKGradualStrategy


def build(strategy: Any, folder: Path) -> Encoder:
    return Encoder(LanguageModelBackbone(str(folder)), strategy)


def trained(encoder: Encoder) -> dict[str, Any]:
    return {item.name.removeprefix("backbone.pretrained."): item for item in encoder.trainable()}


def test_bitfit_trains_biases_and_only_those(tiny_models: dict) -> None:
    names = trained(build(BitfitStrategy(), tiny_models["bert"]))
    layer = [f"attention.self.{part}" for part in ("query", "key", "value")]
    layer += ["attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense"]
    layer += ["output.LayerNorm"]
    expected = {f"encoder.layer.{index}.{part}.bias" for index in (0, 1) for part in layer}
    assert names.keys() == expected | {"embeddings.LayerNorm.bias"}


@pytest.mark.parametrize("family", ["llama", "t5", "modernbert"])
def test_bitfit_refuses_a_model_without_biases(family: str, tiny_models: dict) -> None:
    with pytest.raises(ValueError, match=r"BitfitStrategy trains biases, and \w+Model has none: .*strategy=layernorm"):
        build(BitfitStrategy(), tiny_models[family])


NORMS = {  # tensors: two layers of two norms and one or two more, a gain each and in some families a bias
    "bert": (2 * 2 + 1) * 2,
    "distilbert": (2 * 2 + 1) * 2,
    "gpt2": (2 * 2 + 1) * 2,
    "llama": 2 * 2 + 1,
    "qwen3": 2 * 4 + 1,  # queries and keys have norms too
    "t5": 2 * 2 + 1,
    "modernbert": 2 * 2 + 1,  # one in the embeddings; none before the first layer's attention
}


@pytest.mark.parametrize("family", NORMS)
def test_layernorm_trains_all_norms_and_only_those(family: str, tiny_models: dict) -> None:
    names = trained(build(LayernormStrategy(), tiny_models[family]))
    assert len(names) == NORMS[family]
    assert all("norm" in name.lower() or "ln_" in name.split(".ln_tuning")[0] for name in names)
    assert all(item.parameter.dim() == 1 for item in names.values())
    plain = dict(LanguageModelBackbone(str(tiny_models[family])).pretrained.named_parameters())
    assert len([name for name, p in plain.items() if p.dim() == 1 and name.endswith("weight")]) == sum(
        name.endswith("weight") for name in names
    )


RATES = {
    "bert": {
        "embeddings.word_embeddings.weight": 2,
        "embeddings.LayerNorm.bias": 2,
        "encoder.layer.0.attention.self.query.weight": 1,
        "encoder.layer.1.output.LayerNorm.bias": 0,
    },
    "gpt2": {"wte.weight": 2, "wpe.weight": 2, "h.0.ln_1.weight": 1, "h.1.mlp.c_proj.bias": 0, "ln_f.weight": 0},
    "llama": {"embed_tokens.weight": 2, "layers.0.mlp.up_proj.weight": 1, "norm.weight": 0},
    "t5": {
        "shared.weight": 2,
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": 1,
        "encoder.block.1.layer.1.layer_norm.weight": 0,
        "encoder.final_layer_norm.weight": 0,
    },
    "modernbert": {"embeddings.norm.weight": 2, "layers.0.mlp.Wi.weight": 1, "final_norm.weight": 0},
    "distilbert": {"embeddings.position_embeddings.weight": 2, "transformer.layer.1.ffn.lin2.bias": 0},
    "electra": {"embeddings_project.weight": 2, "encoder.layer.1.output.dense.weight": 0},
}


@pytest.mark.parametrize("family", RATES)
def test_rates_fall_from_layer_to_layer(family: str, tiny_models: dict) -> None:
    names = trained(build(FullLlrdStrategy(decay=0.5), tiny_models[family]))
    assert names.keys() == trained(build(FullStrategy(), tiny_models[family])).keys()
    assert {name: names[name].lr_scale for name in RATES[family]} == {
        name: 0.5**distance for name, distance in RATES[family].items()
    }
    assert {item.lr_scale for item in names.values()} == {1.0, 0.5, 0.25}


def test_rates_need_layers_that_are_known(tiny_models: dict) -> None:
    with pytest.raises(ValueError, match="those of AlbertModel are not known: use strategy=full"):
        build(FullLlrdStrategy(), tiny_models["albert"])
    for decay in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"lies outside \(0, 1\)"):
            FullLlrdStrategy(decay=decay)


def test_layers_join_from_the_top(minilm_path: Path) -> None:
    encoder = build(TopKGradualStrategy(k=4), minilm_path)
    names = trained(encoder)
    assert names.keys() == trained(build(TopKStrategy(k=4), minilm_path)).keys()
    starts = {int(name.split(".")[2]): item.starts for name, item in names.items()}
    assert starts == {5: 0.0, 4: 0.25, 3: 0.5, 2: 0.75}
    assert encoder.lowest == 2


def test_a_layer_that_waits_stays_bit_for_bit(tiny_models: dict, token_items: Callable) -> None:
    encoder = build(TopKGradualStrategy(k=2), tiny_models["bert"])
    groups = [{"params": [item.parameter], "starts": item.starts} for item in encoder.trainable()]
    optimizer = torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.1)
    schedule = held_back(warmup_constant(optimizer, total_steps=4), 4)
    lower, upper = (encoder.backbone.layers[index].intermediate.dense.weight for index in (0, 1))
    moved = []
    for step in range(4):
        before = lower.detach().clone(), upper.detach().clone()
        optimizer.zero_grad()
        vectors = encoder(token_items(9, 3, 20, seed=step))
        (vectors * torch.randn_like(vectors)).sum().backward()
        forget_what_waits([optimizer])
        assert (lower.grad is None) == (step < 2)  # the norm that is clipped is of what trains
        optimizer.step()
        schedule.step()
        moved.append((not torch.equal(lower, before[0]), not torch.equal(upper, before[1])))
        assert (lower in optimizer.state) == (step >= 2)  # Adam begins when the layer does
    assert moved == [(False, True), (False, True), (True, True), (True, True)]


def test_a_gradual_start_that_cannot_be_is_refused(tiny_models: dict) -> None:
    with pytest.raises(ValueError, match="k=1 has no layer to add: give at least 2, or use strategy=top_k"):
        TopKGradualStrategy(k=1)
    with pytest.raises(ValueError, match=r"TopKGradualStrategy k=3, but BertModel has 2 layers: lower k"):
        build(TopKGradualStrategy(k=3), tiny_models["bert"])
