"""T5 read by what its decoder says first: what trains there matters, and what cannot matter does not train."""

import pytest
import torch
from hydra.utils import instantiate

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.families import idle_names
from lightning_modules.strategies.full_llrd import FullLlrdStrategy
from lightning_modules.strategies.lora import LoraStrategy
from tests.lightning_modules.strategies import pairs

REFUSED = {
    "bitfit": "trains biases, and T5Model has none",
    "iisan": "this pooling learns or knows the last layer alone",
    "top_k": "with pooling=decoder these are the decoder's, which are not told apart",
    "top_k_gradual": "with pooling=decoder these are the decoder's, which are not told apart",
}
FAST = ("full", "frozen", "lora", "pfeiffer", "prefix", "side")
"""One of each mechanism; the others take minutes on all tensors."""
MECHANISMS = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in pairs.STRATEGIES]
BLOCKS = 2
IDLE = {f"decoder.block.{index}.layer.0.SelfAttention.{part}.weight" for index in range(BLOCKS) for part in "qk"}
IDLE |= {"decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"}


def build(strategy, folder):
    return Encoder(LanguageModelBackbone(str(folder), pooling="decoder"), strategy)


def named(name):
    torch.manual_seed(0)
    return instantiate(pairs.settings_of(name) | pairs.TINY.get(name, {}))


@pytest.fixture
def supported(tiny_models):
    def build_or_skip(name):
        if name in REFUSED:
            pytest.skip(f"refused: {REFUSED[name]}")
        return build(named(name), tiny_models["t5"])

    return build_or_skip


def test_strategies_are_supported_or_refused_by_name(tiny_models):
    refused = {}
    for name in pairs.STRATEGIES:
        try:
            build(named(name), tiny_models["t5"])
        except ValueError as refusal:
            refused[name] = str(refusal)
    assert refused.keys() == REFUSED.keys()
    assert [name for name, words in REFUSED.items() if words not in refused[name]] == []
    assert (len(pairs.STRATEGIES) - len(refused), len(refused)) == (22, 4)


@pytest.mark.parametrize("name", MECHANISMS)
def test_every_tensor_that_trains_has_a_gradient_and_matters(name, supported, token_items):
    encoder = supported(name)
    pairs.train(encoder, token_items, steps=2)
    items = token_items(*pairs.LENGTHS, seed=7)
    vectors = encoder(items)
    if encoder.trainable():
        (vectors * torch.randn_like(vectors)).sum().backward()
    assert [item.name for item in encoder.trainable() if item.parameter.grad is None] == []
    assert [item.name for item in encoder.trainable() if item.parameter.grad.abs().max() < 1e-6] == []
    encoder.eval()
    moved = {}
    with torch.no_grad():
        before = encoder(items)
        for item in encoder.trainable():
            kept = item.parameter.clone()
            item.parameter.add_(0.5 * torch.randn_like(kept))
            moved[item.name] = float((encoder(items) - before).abs().max())
            item.parameter.copy_(kept)
    assert {key: size for key, size in moved.items() if size <= 1e-6} == {}
    assert (len(moved) > 0) == (name != "frozen")


@pytest.mark.parametrize("family", ["t5", "mt5"])
def test_what_a_single_token_asks_itself_cannot_matter(family, tiny_models, token_items):
    encoder = build(named("full"), tiny_models[family]).eval()
    model = encoder.backbone.pretrained
    assert idle_names(model) == IDLE
    before = encoder(token_items(*pairs.LENGTHS))
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in IDLE:
            parameters[name].add_(torch.randn_like(parameters[name]))
    assert torch.equal(encoder(token_items(*pairs.LENGTHS)), before)
    assert {name for name, parameter in parameters.items() if not parameter.requires_grad} == IDLE


def test_the_encoder_alone_has_nothing_idle(tiny_models):
    for family in ("t5", "mt5", "bert", "albert"):
        assert idle_names(LanguageModelBackbone(str(tiny_models[family])).pretrained) == frozenset()


def test_a_pattern_of_ones_own_trains_nothing_idle_either(tiny_models):
    encoder = build(LoraStrategy(targets=["SelfAttention.q"]), tiny_models["t5"])
    assert len(encoder.trainable()) == 2 * BLOCKS  # of the encoder
    assert not [item.name for item in encoder.trainable() if "decoder" in item.name]


def test_rates_fall_from_the_decoder_down_through_the_encoder(tiny_models):
    encoder = build(FullLlrdStrategy(decay=0.5), tiny_models["t5"])
    scales = {item.name.removeprefix("backbone.pretrained."): item.lr_scale for item in encoder.trainable()}
    expected = {
        "decoder.final_layer_norm.weight": 0,
        "decoder.block.1.layer.1.EncDecAttention.q.weight": 0,
        "decoder.block.0.layer.0.SelfAttention.v.weight": 1,
        "encoder.final_layer_norm.weight": 2,
        "encoder.block.1.layer.0.SelfAttention.q.weight": 2,
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": 3,
        "shared.weight": 4,
    }
    assert {name: scales[name] for name in expected} == {name: 0.5**above for name, above in expected.items()}
