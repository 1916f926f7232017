"""What each strategy trains: of a tiny BERT by name, of the real MiniLM by number; and how a target may miss."""

from pathlib import Path

import pytest
import torch

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.strategies.lora import LoraStrategy
from lightning_modules.strategies.pfeiffer import PfeifferStrategy
from lightning_modules.strategies.top_k import TopKStrategy
from tests.lightning_modules.strategies import pairs

ALIKE = [{"full", "full_llrd"}, {"lora", "rslora", "pissa"}, {"prompt", "prefix"}]
"""Train tensors of the same names: they differ in rates, in when, in scale and start, or in what stands behind."""

D, INNER, LAYERS = 384, 1536, 6
EMBEDDINGS = (30_522 + 512 + 2) * D + 2 * D
LAYER = 4 * (D * D + D) + (D * INNER + INNER) + (INNER * D + D) + 4 * D
LORA = LAYERS * 2 * (8 * D + D * 8)
ADAPTER = D * 24 + 24 + 24 * D + D
SMALL = 48  # an eighth of the width
COMPACTER = (D + SMALL + SMALL) + (SMALL + D + D)  # s, t and bias of a sum of four Kronecker products, down and up
RUNG = 2 * 2 * SMALL + 4 * (SMALL * SMALL + SMALL) + (SMALL * 4 * SMALL + 4 * SMALL) + (4 * SMALL * SMALL + SMALL)
TAPS = 4  # the embeddings and every other layer
SANB = D * 32 + 32 + 32 * D + D
REAL = {  # by hand: 6 layers of width 384, inner 1536; 30,522 + 512 + 2 token, position and segment vectors
    "frozen": 0,
    "full": LAYERS * LAYER + EMBEDDINGS,
    "full_llrd": LAYERS * LAYER + EMBEDDINGS,
    "top_k": 2 * LAYER,
    "top_k_gradual": 2 * LAYER,
    "bitfit": D + LAYERS * (4 * D + INNER + D + 2 * D),
    "layernorm": 2 * D + LAYERS * 4 * D,
    "lora": LORA,
    "rslora": LORA,
    "pissa": LORA,
    "dora": LORA + LAYERS * 2 * D,
    "adalora": LAYERS * 2 * (12 * D + 12 + D * 12),
    "loha": LAYERS * 2 * 2 * (4 * D + 4 * D),
    "lokr": LAYERS * 2 * (16 * 16 + 24 * 8 + 8 * 24),  # 384 = 16 * 24
    "vera": LAYERS * 2 * (256 + D),
    "ia3": LAYERS * (2 * D + INNER),
    "oft": LAYERS * 2 * (D // 16) * (16 * 15 // 2),
    "pfeiffer": LAYERS * ADAPTER,
    "parallel": LAYERS * ADAPTER,
    "houlsby": LAYERS * 2 * ADAPTER,
    "compacter": LAYERS * 2 * COMPACTER + 4 * 4 * 4,
    "prompt": 5 * D,
    "p_tuning": 5 * D + (D * 128 + 128) + (128 * 128 + 128) + (128 * D + D),
    "prefix": LAYERS * 2 * 5 * D,
    "side": TAPS * (D * SMALL + SMALL) + (TAPS - 1) * (RUNG + 1) + 2 * SMALL + SMALL * D + D,
    "iisan": TAPS * SANB + (TAPS - 1),
}


def trained_names(encoder: Encoder) -> set[str]:
    return {item.name.removeprefix("backbone.pretrained.") for item in encoder.trainable()}


def test_each_strategy_trains_its_own_set_of_a_tiny_bert(tiny_models: dict) -> None:
    names = {name: trained_names(pairs.build(name, tiny_models["bert"])) for name in pairs.STRATEGIES}
    assert names["frozen"] == set()
    assert len(names["full"]) == 37  # 3 tables and a norm in front, 16 tensors in each of 2 layers
    assert names["top_k_gradual"] == {name for name in names["full"] if name.startswith("encoder.layer.")}
    assert names["top_k"] == {name for name in names["full"] if name.startswith("encoder.layer.1.")}
    assert names["bitfit"] == {name for name in names["full"] if name.endswith(".bias")}
    assert {name.rpartition(".")[0].replace(".ln_tuning_layers.default", "") for name in names["layernorm"]} == {
        name.rpartition(".")[0] for name in names["full"] if "LayerNorm" in name
    }
    assert all(".lora_" in name and (".query." in name or ".value." in name) for name in names["lora"])
    sets: dict[frozenset, set] = {}
    for name, trained in names.items():
        sets.setdefault(frozenset(trained), set()).add(name)
    assert sorted(map(sorted, (group for group in sets.values() if len(group) > 1))) == sorted(
        map(sorted, (group & set(names) for group in ALIKE if len(group & set(names)) > 1))
    )


def test_no_share_is_left_out() -> None:
    assert sorted(REAL) == pairs.STRATEGIES


@pytest.mark.parametrize("name", pairs.STRATEGIES)
def test_each_strategy_trains_its_own_share_of_real_minilm(name: str, minilm_path: Path, token_items) -> None:
    encoder = pairs.build(name, minilm_path, small=False)
    assert sum(item.parameter.numel() for item in encoder.trainable()) == REAL[name]
    assert encoder.lowest == {"frozen": 6, "side": 6, "iisan": 6, "top_k": 4, "top_k_gradual": 4}.get(name, 0)
    items = token_items(*pairs.LENGTHS)
    encoder.eval()
    before = encoder(items)
    pairs.perturb(encoder)
    assert torch.equal(before, encoder(items)) == (name == "frozen")


def test_top_k_leaves_layers_below_without_dropout(tiny_models: dict, minilm_path: Path) -> None:
    # MiniLM comes in eval mode, a model made from a configuration in training mode: both must end alike.
    for folder in (tiny_models["bert"], minilm_path):
        encoder = Encoder(LanguageModelBackbone(str(folder)), TopKStrategy(k=1))
        modes = [layer.attention.self.dropout.training for layer in encoder.backbone.layers]
        assert modes == [False] * (encoder.backbone.depth - 1) + [True]
        assert encoder.lowest == encoder.backbone.depth - 1


def test_top_k_of_a_model_in_one_piece_leaves_its_token_table(tiny_models: dict) -> None:
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["albert"])), TopKStrategy(k=1))
    names = trained_names(encoder)
    assert "embeddings.word_embeddings.weight" not in names
    assert len(names) == len(list(encoder.backbone.pretrained.parameters())) - 1


def test_top_k_beyond_the_depth_is_refused(tiny_models: dict) -> None:
    with pytest.raises(ValueError, match=r"k=3, but BertModel has 2 layers: lower k, or use strategy=full"):
        Encoder(LanguageModelBackbone(str(tiny_models["bert"])), TopKStrategy(k=3))
    with pytest.raises(ValueError, match="use strategy=frozen"):
        TopKStrategy(k=0)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["query", "qery"], r"'qery' matches no linear module of BertModel; .* dense, key, query, value; .*'query'"),
        (["output"], r"'output' matches no linear module of BertModel"),  # the block around output.dense
        ([".*output.*"], r"also matches encoder.layer.0.attention.output of BertModel, a BertSelfOutput"),
        ("query", r"targets='query' must be a list"),
        ([], r"must be a list"),
    ],
)
@pytest.mark.parametrize("kind", [LoraStrategy, PfeifferStrategy])
def test_a_target_that_misses_is_refused(kind: type, targets: object, message: str, tiny_models: dict) -> None:
    with pytest.raises(ValueError, match=message):
        Encoder(LanguageModelBackbone(str(tiny_models["bert"])), kind(targets=targets))


def test_a_pattern_of_ones_own_serves_where_no_role_does(tiny_models: dict, token_items) -> None:
    strategy = LoraStrategy(
        targets=["attention.query", "attention.value"]
    )  # ALBERT's, whose layers are one and the same
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["albert"])), strategy).eval()
    before = encoder(token_items(*pairs.LENGTHS))
    pairs.perturb(encoder)
    assert len(encoder.trainable()) == 4
    assert not torch.equal(encoder(token_items(*pairs.LENGTHS)), before)
