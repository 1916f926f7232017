"""Strategies that change weights: each is the algebra of its paper, on every family of models that it knows."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from datamodules.types import Items
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.checkpoint import frozen_digest
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.low_rank import principal_part
from lightning_modules.strategies.adalora import AdaloraStrategy
from lightning_modules.strategies.dora import DoraStrategy
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.strategies.ia3 import Ia3Strategy
from lightning_modules.strategies.layernorm import LayernormStrategy
from lightning_modules.strategies.loha import LohaStrategy
from lightning_modules.strategies.lokr import LokrStrategy
from lightning_modules.strategies.lora import LoraStrategy
from lightning_modules.strategies.oft import OftStrategy
from lightning_modules.strategies.pissa import PissaStrategy
from lightning_modules.strategies.rslora import RsloraStrategy
from lightning_modules.strategies.vera import VeraStrategy
from tests.lightning_modules.padding import pad
from tests.lightning_modules.strategies.pairs import attentive

LENGTHS = (9, 3, 20, 3, 12)
FAMILIES = ("bert", "gpt2", "llama", "t5", "distilbert", "modernbert")
LINEAR_ONLY = (LohaStrategy, LokrStrategy, OftStrategy)
OTHERS = (AdaloraStrategy, DoraStrategy, Ia3Strategy, LayernormStrategy, LoraStrategy, PissaStrategy, RsloraStrategy)
CHANGES = [(kind, family) for kind in (*OTHERS, VeraStrategy) for family in FAMILIES]
CHANGES += [(kind, family) for kind in LINEAR_ONLY for family in FAMILIES if family != "gpt2"]

pytestmark = [
    # peft 0.21.2 still asks transformers 5.24 under the old name, and a norm for a width (seen on 2026-11-24).
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Unsupported layer type .* encountered:UserWarning"),
]


@pytest.fixture(scope="module")
def tiny_models(tiny_models: dict[str, Path]) -> dict[str, Path]:
    """Such in which attention tells texts apart: most of these strategies change queries."""
    return tiny_models | {family: attentive(tiny_models[family]) for family in FAMILIES}


def build(strategy: Any, folder: Path) -> Encoder:
    torch.manual_seed(0)
    return Encoder(LanguageModelBackbone(str(folder)), strategy).eval()


def perturb(encoder: Encoder) -> Encoder:
    with torch.no_grad():
        for item in encoder.trainable():
            item.parameter.add_(0.1 * torch.randn_like(item.parameter))
    return encoder


def forward_of(model: nn.Module, items: Items) -> Tensor:
    tokens, mask = pad(items.tokens, 0)
    hidden = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("kind", "family"),
    [pytest.param(*pair, marks=() if pair[1] in ("bert", "llama") else pytest.mark.slow) for pair in CHANGES],
)
@torch.no_grad()
def test_it_starts_as_the_model_moves_it_and_its_folder_opens_with_peft(
    kind: type, family: str, tiny_models: dict, token_items: Callable, tmp_path: Path
) -> None:
    encoder, items = build(kind(), tiny_models[family]), token_items(*LENGTHS)
    start, base = encoder(items), build(FrozenStrategy(), tiny_models[family])(items)
    assert encoder.plan.identity == ("numeric" if kind is PissaStrategy else "exact")
    torch.testing.assert_close(start, base, rtol=0, atol=1e-5 if kind is PissaStrategy else 0)
    end = perturb(encoder)(items)
    assert bool(((end - start).abs().amax(1) > 1e-4).all())
    torch.testing.assert_close(end, forward_of(encoder.backbone.pretrained, items), rtol=0, atol=1e-5)
    encoder.plan.adapter.save_pretrained(tmp_path)
    fresh = build(FrozenStrategy(), tiny_models[family]).backbone.pretrained
    opened = peft.PeftModel.from_pretrained(fresh, tmp_path).eval()
    torch.testing.assert_close(forward_of(opened.base_model.model, items), end, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", LINEAR_ONLY)
def test_matrices_of_gpt2_are_refused_by_name(kind: type, tiny_models: dict) -> None:
    with pytest.raises(ValueError, match=r"cannot change h.0.attn.c_attn of GPT2Model, a Conv1D: .* strategy=lora"):
        build(kind(), tiny_models["gpt2"])


def low_rank(module: nn.Module) -> Tensor:
    return module.lora_B["default"].weight @ module.lora_A["default"].weight


def dora(weight: Tensor, module: nn.Module) -> Tensor:
    moved = weight + 6 / 4 * low_rank(module)
    lengths = (moved**2).sum(1, keepdim=True).sqrt()
    return module.lora_magnitude_vector["default"].weight[:, None] * moved / lengths


def adalora(weight: Tensor, module: nn.Module) -> Tensor:
    values = torch.diag(module.lora_E["default"][:, 0])
    return weight + 6 / 5 * module.lora_B["default"] @ values @ module.lora_A["default"]


def vera(weight: Tensor, module: nn.Module) -> Tensor:
    """He's uniform numbers: deviation sqrt(2 / inputs), so a bound of sqrt(6 / inputs)."""
    generator = torch.Generator().manual_seed(7)
    (outputs, inputs), rank = weight.shape, 4
    a = (2 * torch.rand(rank, inputs, generator=generator) - 1) * math.sqrt(6 / inputs)
    b = (2 * torch.rand(outputs, rank, generator=generator) - 1) * math.sqrt(6 / rank)
    scale_b, scale_d = module.vera_lambda_b["default"], module.vera_lambda_d["default"]
    return weight + torch.diag(scale_b) @ b @ torch.diag(scale_d) @ a


def loha(weight: Tensor, module: nn.Module) -> Tensor:
    one, two = (getattr(module, f"hada_w{i}_a")["default"] @ getattr(module, f"hada_w{i}_b")["default"] for i in "12")
    return weight + 6 / 4 * one * two


def lokr(weight: Tensor, module: nn.Module) -> Tensor:
    """32 = 4 * 8: entry (8 i + k, 8 j + l) of the product is C[i, j] D[k, l]."""
    small, large = module.lokr_w1["default"], module.lokr_w2_a["default"] @ module.lokr_w2_b["default"]
    assert small.shape == (4, 4)
    assert large.shape == (8, 8)
    rows = [[6 / 2 * small[i // 8, j // 8] * large[i % 8, j % 8] for j in range(32)] for i in range(32)]
    return weight + torch.tensor(rows)


def oft(weight: Tensor, module: nn.Module) -> Tensor:
    rotation = torch.zeros(32, 32)
    for block, upper in enumerate(module.oft_R["default"].weight):
        skew = torch.zeros(8, 8)
        skew[tuple(torch.triu_indices(8, 8, 1))] = upper
        skew = skew - skew.T
        place = slice(8 * block, 8 * block + 8)
        rotation[place, place] = (torch.eye(8) - skew) @ torch.linalg.inv(torch.eye(8) + skew)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(32))
    assert not torch.allclose(rotation, torch.eye(32), atol=0.1)
    return weight @ rotation.T


ALGEBRA: dict[str, tuple[Any, Callable[[Tensor, nn.Module], Tensor]]] = {
    "lora": (LoraStrategy(r=4, alpha=6.0), lambda w, m: w + 6 / 4 * low_rank(m)),
    "rslora": (RsloraStrategy(r=4, alpha=6.0), lambda w, m: w + 6 / 2 * low_rank(m)),
    "pissa": (PissaStrategy(r=4, alpha=6.0), lambda w, m: w + 6 / 4 * low_rank(m)),
    "dora": (DoraStrategy(r=4, alpha=6.0), dora),
    "adalora": (AdaloraStrategy(r=4, initial_r=5, alpha=6.0), adalora),
    "vera": (VeraStrategy(r=4, seed=7), vera),
    "loha": (LohaStrategy(r=4, alpha=6.0), loha),
    "lokr": (LokrStrategy(r=2, alpha=6.0), lokr),
    "oft": (OftStrategy(block_size=8), oft),
}


@pytest.mark.parametrize(
    ("name", "family"), [(name, "bert") for name in ALGEBRA] + [(name, "gpt2") for name in list(ALGEBRA)[:6]]
)
@torch.no_grad()
def test_the_changed_weight_by_hand(name: str, family: str, tiny_models: dict) -> None:
    strategy, algebra = ALGEBRA[name]
    layer = perturb(build(strategy, tiny_models[family])).backbone.layers[1]
    module = layer.attn.c_attn if family == "gpt2" else layer.attention.self.query
    base = module.base_layer
    weight = algebra(base.weight.T if isinstance(base, Conv1D) else base.weight, module)
    x = torch.randn(5, 32)
    expected = x @ weight.T + base.bias
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(expected, base(x), atol=1e-3)


@torch.no_grad()
def test_factors_of_ia3_by_hand(tiny_models: dict) -> None:
    layer = perturb(build(Ia3Strategy(), tiny_models["bert"])).backbone.layers[0]
    x, inner = torch.randn(5, 32), torch.rand(5, 64)
    for module in (layer.attention.self.key, layer.attention.self.value):
        factor = module.ia3_l["default"]
        assert factor.shape == (32, 1)
        torch.testing.assert_close(module(x), factor[:, 0] * (x @ module.base_layer.weight.T + module.base_layer.bias))
    last = layer.output.dense
    expected = (last.ia3_l["default"][0] * inner) @ last.base_layer.weight.T + last.base_layer.bias
    torch.testing.assert_close(last(inner), expected)
    assert isinstance(layer.attention.self.query, nn.Linear)
    assert isinstance(layer.intermediate.dense, nn.Linear)


def test_the_norm_of_dora_is_a_constant_in_the_backward_pass(tiny_models: dict) -> None:
    module = perturb(build(DoraStrategy(r=4, alpha=6.0), tiny_models["bert"])).backbone.layers[0].attention.self.query
    own = (
        module.lora_A["default"].weight,
        module.lora_B["default"].weight,
        module.lora_magnitude_vector.default.weight,
    )
    x, into = torch.randn(5, 32), torch.randn(5, 32)
    down, up, magnitude = (p.detach().clone().requires_grad_() for p in own)
    moved = module.base_layer.weight.detach() + 6 / 4 * up @ down
    weight = magnitude[:, None] * moved / moved.norm(dim=1, keepdim=True).detach()
    expected = torch.autograd.grad(((x @ weight.T) * into).sum(), (down, up, magnitude))
    for ours, theirs in zip(torch.autograd.grad((module(x) * into).sum(), own), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_pissa_moves_the_largest_singular_values(family: str, tiny_models: dict) -> None:
    path = "h.0.attn.c_attn" if family == "gpt2" else "encoder.layer.0.attention.self.query"
    whole = LanguageModelBackbone(str(tiny_models[family])).pretrained.get_submodule(path).weight.detach().numpy()
    module = build(PissaStrategy(r=4, alpha=6.0), tiny_models[family]).backbone.pretrained.get_submodule(path)
    rest, moved = module.base_layer.weight.detach().numpy(), 6 / 4 * low_rank(module).detach().numpy()
    whole, rest = (whole.T, rest.T) if family == "gpt2" else (whole, rest)
    left, values, right = np.linalg.svd(whole.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(moved, (left[:, :4] * values[:4]) @ right[:4], atol=1e-6)
    np.testing.assert_allclose(rest + moved, whole, atol=1e-6)
    np.testing.assert_allclose(np.linalg.svd(rest)[1][:-4], values[4:], atol=1e-6)
    halves = (module.lora_A["default"].weight.norm(dim=1), module.lora_B["default"].weight.norm(dim=0))
    for half in halves:
        np.testing.assert_allclose(half.detach().numpy() ** 2, values[:4] / (6 / 4), rtol=1e-5)


def test_what_pissa_leaves_frozen_has_the_same_bits_with_any_number_of_threads() -> None:
    weight, before, rests = torch.randn(256, 256), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rests.append(principal_part(weight, 8, 1.0)[2])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(rests[0], rests[1])


def test_another_build_of_pissa_is_frozen_alike(tiny_models: dict) -> None:
    assert len({frozen_digest(build(PissaStrategy(), tiny_models["bert"])) for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LoraStrategy(r=0), "LoraStrategy needs r >= 1 and alpha > 0, not r=0"),
        (lambda: RsloraStrategy(alpha=0.0), "RsloraStrategy needs r >= 1"),
        (lambda: DoraStrategy(dropout=1.0), r"DoraStrategy dropout=1.0 lies outside \[0, 1\)"),
        (lambda: PissaStrategy(r=-1), "PissaStrategy needs r >= 1"),
        (lambda: VeraStrategy(r=0), "VeraStrategy needs r >= 1"),
        (lambda: VeraStrategy(d_initial=0.0), "d_initial other than 0"),
        (lambda: LohaStrategy(r=0), "LohaStrategy needs r >= 1"),
        (lambda: LokrStrategy(factor=1), "LokrStrategy factor=1 splits nothing"),
        (lambda: OftStrategy(block_size=1), "OftStrategy block_size=1 rotates nothing"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_what_does_not_fit_the_model_is_refused(tiny_models: dict) -> None:
    with pytest.raises(
        ValueError, match=r"r=33, but encoder.layer.0.attention.self.query of BertModel has 32 singular"
    ):
        build(PissaStrategy(r=33), tiny_models["bert"])
    with pytest.raises(
        ValueError, match=r"block_size=12 does not divide 32, 64, .* BertModel: valid are 2, 4, 8, 16, 32"
    ):
        build(OftStrategy(block_size=12, targets=["query", "feed_forward_output"]), tiny_models["bert"])
    for kind in (Ia3Strategy, LayernormStrategy):
        with pytest.raises(ValueError, match=r"of 'albert' it does not; known are: bert"):
            build(kind(), tiny_models["albert"])
