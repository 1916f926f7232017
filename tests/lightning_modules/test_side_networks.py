"""Networks beside a frozen model: what they compute, and that they change nothing of the model."""

import math

import pytest
import torch

from datamodules.types import Items, Ragged
from lightning_modules.backbones.hybrid import HybridBackbone
from lightning_modules.backbones.item_id import ItemIdBackbone
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.decoupled import IisanConfig
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.ladder import Ladder, SideConfig
from lightning_modules.parts.loading import load_encoder
from lightning_modules.parts.runs import runs_of
from lightning_modules.parts.whitening import Whitening
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.strategies.iisan import IisanStrategy
from lightning_modules.strategies.side import SideStrategy
from tests.lightning_modules.beside import BOTH, LENGTHS, build, over_families, perturb
from tests.lightning_modules.padding import pad

over_both = pytest.mark.parametrize("name", BOTH)


def kept(encoder, items):
    """The items with what can be kept in the place of their tokens."""
    if encoder.features_reusable:
        return Items(items.ids, features=encoder.settled(encoder.pooled(items)))
    texts = {}
    for rows, states in encoder.lower_states(items):
        texts |= dict(zip(rows.tolist(), states.split(items.tokens.lengths()[rows].tolist()), strict=True))
    return Items(items.ids, states=Ragged(torch.cat([texts[row] for row in sorted(texts)]), items.tokens.offsets))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, x):
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def attention(p, name, x, heads):
    """Softmax over all tokens of the text, head by head."""
    size = x.shape[1] // heads
    query, key, value = linear(p, f"{name}.query_key_value", x).chunk(3, dim=1)
    mixed = []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        scores = query[:, own] @ key[:, own].T / math.sqrt(size)
        mixed.append(scores.exp() / scores.exp().sum(1, keepdim=True) @ value[:, own])
    return linear(p, f"{name}.out", torch.cat(mixed, dim=1))


def ladder_by_hand(p, taps, heads):
    """The paper's equations for one text; taps: (S, D) each."""
    side = linear(p, "down.0", taps[0])
    for i, said in enumerate(taps[1:]):
        mu = sigmoid(p["gates"][i].item() / 0.1)
        x = (1 - mu) * side + mu * linear(p, f"down.{i + 1}", said)
        x = x + attention(p, f"layers.{i}", norm(p, f"layers.{i}.attention_norm", x), heads)
        inner = gelu(linear(p, f"layers.{i}.forward_in", norm(p, f"layers.{i}.forward_norm", x)))
        side = x + linear(p, f"layers.{i}.forward_out", inner)
    return taps[-1] + linear(p, "up", norm(p, "norm", side))


def drawn(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return dict(network.named_parameters())


def test_a_ladder_by_hand():
    network = Ladder(16, (0, 2, 3, 5), reduction=2, heads=2, temperature=0.1, dropout=0.0).double()
    p, lengths = drawn(network), (5, 5, 1, 7)
    texts = [torch.randn(length, 4 * 16).double() for length in lengths]
    found = network.tokens(torch.cat(texts), runs_of(lengths))
    expected = torch.cat([ladder_by_hand(p, text.chunk(4, dim=1), heads=2) for text in texts])
    torch.testing.assert_close(found, expected)


def test_a_tower_by_hand():
    network = IisanConfig(taps=[0, 1, 3], reduction=4).build(8).double()
    p, taps = drawn(network), torch.randn(3, 6, 8).double()

    def block(i, x):
        return x + linear(p, f"blocks.{i}.up", gelu(linear(p, f"blocks.{i}.down", x)))

    vectors = block(0, taps[0])
    for i in (1, 2):
        mu = sigmoid(p["gates"][i - 1].item() / 0.1)
        vectors = block(i, mu * vectors + (1 - mu) * taps[i])
    torch.testing.assert_close(network.pooled(torch.cat(list(taps), dim=1)), vectors)


def test_a_tower_starts_near_the_mean_of_its_taps_by_halves():
    network, (a, b, c) = IisanConfig(taps=[0, 1, 2], reduction=4).build(8), torch.eye(8)[:3]
    found = network.pooled(torch.cat([a, b, c])[None])[0]
    torch.testing.assert_close(found, a / 4 + b / 4 + c / 2, rtol=0, atol=1e-3)


@over_families
def test_taps_are_the_models_own_hidden_states(family, tiny_models, token_items):
    encoder, items = build("side", tiny_models[family]).eval(), token_items(*LENGTHS)
    tokens, mask = pad(items.tokens, 0)
    base = load_encoder(tiny_models[family])
    said = base(input_ids=tokens, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    state = encoder.backbone.run(encoder.backbone.embed(items), 0, encoder.lowest)
    expected = torch.cat([hidden[mask] for hidden in said], dim=1)
    torch.testing.assert_close(state.hidden, expected, rtol=0, atol=1e-5)
    assert state.hidden.shape[1] == 3 * 32  # both layers and the embeddings


@over_families
def test_step_0_of_side_is_the_frozen_model_bit_for_bit_and_that_of_iisan_is_not(family, tiny_models, token_items):
    items = token_items(*LENGTHS)
    base = Encoder(LanguageModelBackbone(str(tiny_models[family])), FrozenStrategy()).eval()(items)
    side, iisan = build("side", tiny_models[family]), build("iisan", tiny_models[family])
    assert (side.plan.identity, iisan.plan.identity) == ("exact", "none")
    assert torch.equal(side.eval()(items), base)
    assert not torch.allclose(iisan.eval()(items), base, rtol=0, atol=1e-3)


@pytest.mark.parametrize("backbone", [{"whiten": True, "dim": 6}, {"pooling": "cls"}], ids=str)
@over_both
def test_a_part_of_the_way_and_the_rest_are_the_whole_way(name, backbone, tiny_models, token_items):
    encoder, items = build(name, tiny_models["bert"], **backbone).eval(), token_items(*LENGTHS)
    encoder.fit(lambda: encoder.pooled(items))
    perturb(encoder)
    read = encoder.backbone
    for stop in range(read.depth + 1):
        state = read.run(read.run(read.embed(items), 0, stop), stop, read.depth)
        found = read.final(items.ids, read.settle(read.pool(state)))
        torch.testing.assert_close(found, encoder(items), rtol=0, atol=1e-5)


@over_both
def test_nothing_of_the_model_trains_and_all_of_the_network_does(name, tiny_models, token_items):
    encoder = build(name, tiny_models["bert"], dim=6)
    network = {id(p) for p in encoder.plan.reading.parameters()}
    assert {id(item.parameter) for item in encoder.trainable() if item.of_strategy} == network
    assert {item.name for item in encoder.trainable() if not item.of_strategy} == {
        "backbone.read.backbone.projection.weight",
        "backbone.read.backbone.projection.bias",
    }
    assert (encoder.lowest, encoder.features_reusable) == (2, name == "iisan")
    assert not any(part.training for part in encoder.backbone.pretrained.modules())
    assert all(part.training for part in encoder.plan.reading.modules())
    perturb(encoder)
    dropped = not torch.equal(encoder(token_items(*LENGTHS)), encoder(token_items(*LENGTHS)))
    assert dropped == (name == "side")


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("budget", [7, 4096])
@over_both
def test_what_is_kept_stands_for_the_words(name, budget, recompute, tiny_models, token_items):
    items, found = token_items(*LENGTHS), []
    encoder = build(name, tiny_models["bert"], whiten=True, dim=6).eval()
    encoder.fit(lambda: encoder.pooled(items))
    perturb(encoder)
    encoder.tokens_per_chunk, encoder.recompute = budget, recompute
    order = torch.tensor([4, 0, 3, 1, 2])
    for given in (items, kept(encoder, items)):
        encoder.zero_grad()
        vectors = encoder(given.take(order))
        (vectors * torch.arange(6.0)).square().sum().backward()
        found.append([vectors, *(item.parameter.grad for item in encoder.trainable())])
    for slow, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(encoder.catalogue(kept(encoder, items)), encoder.catalogue(items), rtol=0, atol=1e-5)


@over_both
def test_whitening_beside_a_hybrid_is_of_what_the_network_makes_of_the_frozen_vectors(name, tiny_models, token_items):
    """For side, whose start is the frozen model, that is the frozen model's own."""
    items = token_items(*range(3, 50))
    text = LanguageModelBackbone(str(tiny_models["bert"]), whiten=True)
    encoder = Encoder(HybridBackbone(text, n_items=len(items), dim=6), BOTH[name]())
    encoder.fit(lambda: encoder.pooled(items))
    found = next(part for part in encoder.modules() if isinstance(part, Whitening))
    pooled = encoder.pooled(items)
    made = encoder.plan.reading.pooled(pooled).detach() if name == "iisan" else pooled
    own = Whitening(found.dim)
    own.fit(made)
    torch.testing.assert_close(found.matrix, own.matrix)
    torch.testing.assert_close(found.mean, own.mean)
    backbone = encoder.backbone.inner
    expected = found(made) @ backbone.projection.weight.T + backbone.projection.bias + backbone.embedding.weight
    torch.testing.assert_close(encoder(items), expected, rtol=0, atol=1e-4)
    assert len({item.name for item in encoder.trainable()}) == len(encoder.trainable())


def test_a_model_in_one_piece_or_without_layers_is_refused(tiny_models):
    for name, strategy in BOTH.items():
        with pytest.raises(ValueError, match=f"{name} reads what each layer says, and AlbertModel is not known"):
            Encoder(LanguageModelBackbone(str(tiny_models["albert"])), strategy())
        with pytest.raises(ValueError, match="ItemIdBackbone has none: use strategy=full"):
            Encoder(ItemIdBackbone(5, dim=4), strategy())


def test_a_pooling_that_learns_or_decodes_is_refused_by_iisan_alone(tiny_models, token_items):
    for family, pooling in (("bert", "attention"), ("t5", "decoder")):
        with pytest.raises(ValueError, match="use pooling=mean, cls or last"):
            build("iisan", tiny_models[family], pooling=pooling)
        side = build("side", tiny_models[family], pooling=pooling).eval()
        base = Encoder(LanguageModelBackbone(str(tiny_models[family]), pooling=pooling), FrozenStrategy()).eval()
        assert torch.equal(side(token_items(*LENGTHS)), base(token_items(*LENGTHS)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SideStrategy(reduction=0), "at least 1, not reduction=0"),
        (lambda: SideStrategy(temperature=0.0), "must be above 0"),
        (lambda: SideStrategy(dropout=1.0), r"lies outside \[0, 1\)"),
        (lambda: IisanStrategy(every=0), "at least 1, not reduction=12, every=0"),
        (lambda: IisanStrategy(temperature=-1.0), "must be above 0"),
        (lambda: SideConfig(taps=[0, 1], heads=4).build(48), "leaves 6 of width 48, .* reduction=12 or heads=1"),
        (lambda: IisanConfig(taps=[0, 1]).build(8), "leaves nothing of width 8: give at most 8"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_every_so_many_layers_from_the_last_down(minilm_path):
    found = {every: build("iisan", minilm_path, every=every).plan.reading.taps for every in (1, 2, 4, 9)}
    assert found == {1: (0, 1, 2, 3, 4, 5, 6), 2: (0, 2, 4, 6), 4: (0, 2, 6), 9: (0, 6)}


def test_sizes_on_real_minilm(minilm_path):
    # side: 4 maps down to 48; 3 layers of qkv, out, 48 -> 192 -> 48 and two norms; gates; norm and map up. iisan: 32.
    layer = 3 * (48 * 48 + 48) + 48 * 48 + 48 + 48 * 192 + 192 + 192 * 48 + 48 + 4 * 48
    expected = {
        "side": 4 * (384 * 48 + 48) + 3 * layer + 3 + 2 * 48 + 48 * 384 + 384,
        "iisan": 4 * (384 * 32 + 32 + 32 * 384 + 384) + 3,
    }
    for name, size in expected.items():
        trained = build(name, minilm_path, every=2).trainable()
        assert sum(item.parameter.numel() for item in trained) == size
