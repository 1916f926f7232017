"""Bottleneck adapters, against blocks written out in matrix algebra from the papers' equations."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.types import Items
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.bottleneck import BottleneckConfig, BottleneckModel
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.peft_methods import register, type_of
from lightning_modules.parts.runs import runs_of
from lightning_modules.strategies.compacter import CompacterStrategy
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.strategies.houlsby import HoulsbyStrategy
from lightning_modules.strategies.parallel import ParallelStrategy
from lightning_modules.strategies.pfeiffer import PfeifferStrategy
from lightning_modules.types import State
from tests.lightning_modules.padding import pad
from tests.lightning_modules.plain_blocks import BLOCKS, PLACES, network

STRATEGIES: dict[str, Callable[..., Any]] = {
    "houlsby": HoulsbyStrategy,
    "pfeiffer": PfeifferStrategy,
    "parallel": ParallelStrategy,
    "compacter": CompacterStrategy,
}
FAMILIES = ("bert", "distilbert", "modernbert", "gpt2", "llama", "t5")
LENGTHS = (9, 3, 20, 3, 12)
SHARED = "shared.matrices"
NET = "bottleneck_net.default"

# peft 0.21.2 still asks transformers 5.24 under the old name (seen on 2026-11-24).
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
over_strategies = pytest.mark.parametrize("name", STRATEGIES)
over_families = pytest.mark.parametrize("family", FAMILIES)


def build(name: str, folder: Path, **settings: Any) -> Encoder:
    torch.manual_seed(0)
    return Encoder(LanguageModelBackbone(str(folder)), STRATEGIES[name](**settings)).eval()


def perturb(encoder: Encoder) -> None:
    with torch.no_grad():
        for item in encoder.trainable():
            item.parameter.add_(0.1 * torch.randn_like(item.parameter))


def names_of(encoder: Encoder) -> list[str]:
    return [item.name.removeprefix("backbone.pretrained.") for item in encoder.trainable()]


def places_of(name: str, family: str) -> list[str]:
    """Where a layer has its networks, by the papers."""
    attention, feed_forward, block = PLACES[family]
    return {"pfeiffer": [feed_forward], "parallel": [block]}.get(name, [attention, feed_forward])


@over_strategies
@pytest.mark.parametrize("family", BLOCKS)
def test_each_layer_has_its_networks_and_nothing_else_has_one(family: str, name: str, tiny_models: dict) -> None:
    encoder = build(name, tiny_models[family], reduction=8)
    found = [
        {key.partition(f".{NET}.")[0] for key in layer.state_dict() if NET in key} for layer in encoder.backbone.layers
    ]
    assert found == [set(places_of(name, family))] * 2
    assert all(f".{NET}." in key for key in names_of(encoder))
    assert len({key.partition(f".{NET}.")[0] for key in names_of(encoder)}) == 2 * len(places_of(name, family))


@over_strategies
@pytest.mark.parametrize("family", BLOCKS)
def test_a_block_is_that_of_the_papers_equations(family: str, name: str, tiny_models: dict) -> None:
    encoder = build(name, tiny_models[family], reduction=8)
    for parameter in encoder.backbone.pretrained.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    layer = encoder.backbone.layers[0].state_dict()
    w = {key.replace(".base_layer", ""): value for key, value in layer.items()}
    slow = next((value for key, value in w.items() if key.endswith(SHARED)), None)
    f = F.relu if name in ("pfeiffer", "parallel") else F.gelu
    x = torch.randn(7 + 4, 32)
    state = State(torch.arange(2), x, runs_of([7, 4]))
    ours = encoder.backbone.run(state, 0, 1).hidden.detach().split([7, 4])
    places = places_of(name, family)
    for text, row in zip(x.split([7, 4]), ours, strict=True):
        theirs = BLOCKS[family](w, text, lambda at: network(w, at, f, slow) if at in places else torch.zeros_like, 4.0)
        torch.testing.assert_close(row, theirs, rtol=1e-4, atol=1e-4)
        without = BLOCKS[family](w, text, lambda at: torch.zeros_like, 4.0)
        assert float((row - without).abs().amax(1).min()) > 1e-2


@over_strategies
@over_families
def test_step_0_is_exact_and_a_saved_folder_opens_in_peft(
    family: str, name: str, tiny_models: dict, token_items: Callable[..., Items], tmp_path: Path
) -> None:
    items = token_items(*LENGTHS)
    encoder = build(name, tiny_models[family])
    base = Encoder(LanguageModelBackbone(str(tiny_models[family])), FrozenStrategy()).eval()
    assert encoder.plan.identity == "exact"
    assert torch.equal(encoder(items), base(items))
    perturb(encoder)
    assert bool(((encoder(items) - base(items)).abs().amax(1) > 1e-2).all())
    model = encoder.backbone.pretrained
    tokens, mask = pad(items.tokens, model.config.pad_token_id or 0)
    inputs = {"input_ids": tokens, "attention_mask": mask.long()}
    hidden = model(**inputs).last_hidden_state
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(encoder(items), mean, rtol=0, atol=1e-5)
    encoder.plan.adapter.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(base.backbone.pretrained, tmp_path, adapter_name="other").eval()
    torch.testing.assert_close(again(**inputs).last_hidden_state, hidden, rtol=0, atol=0)
    assert torch.equal(base(items), encoder(items))


@over_strategies
def test_networks_in_float32_fit_a_model_in_half_precision(name: str, tiny_models: dict, tmp_path: Path) -> None:
    encoder = build(name, tiny_models["bert"])
    perturb(encoder)
    encoder.plan.adapter.save_pretrained(tmp_path)
    base = LanguageModelBackbone(str(tiny_models["bert"])).pretrained.bfloat16()
    half, tokens = peft.PeftModel.from_pretrained(base, tmp_path), torch.randint(5, 200, (2, 7))
    assert {p.dtype for key, p in half.named_parameters() if "bottleneck" in key} == {torch.float32}
    hidden = half(tokens).last_hidden_state
    assert hidden.dtype == torch.bfloat16
    whole = encoder.backbone.pretrained(tokens).last_hidden_state
    torch.testing.assert_close(hidden.float(), whole, rtol=0, atol=0.1)


D, R = 32, 4  # by hand, for 2 layers of width 32 and a bottleneck of 4; of n = 4 terms of rank 1 in compacter
DENSE = D * R + R + R * D + D
SIZES = {"houlsby": 4 * DENSE, "pfeiffer": 2 * DENSE, "parallel": 2 * DENSE}
SIZES["compacter"] = 4 * (2 * (D + R) + R + D) + 4 * 4 * 4
TENSORS = {"houlsby": 16, "pfeiffer": 8, "parallel": 8, "compacter": 4 * 6 + 1}


@over_strategies
def test_the_networks_train_and_nothing_else(name: str, tiny_models: dict) -> None:
    encoder = build(name, tiny_models["bert"], reduction=8)
    assert sum(item.parameter.numel() for item in encoder.trainable()) == SIZES[name]
    assert len(encoder.trainable()) == TENSORS[name]
    assert encoder.lowest == 0
    assert not encoder.embeddings_train


def test_a_dense_network_by_hand() -> None:
    # W x + b = (2, -1); W_down = (1, 1), so f gives max(2 - 1 + 0.5, 0) = 1.5; W_up = (10, 20)' and bias (1, 0).
    base = nn.Linear(2, 2)
    base.weight.data, base.bias.data = torch.eye(2), torch.tensor([0.0, -2.0])
    adapter = peft.get_peft_model(nn.Sequential(base), BottleneckConfig(target_modules=["0"], reduction=2)).base_model
    layer, x = adapter.model[0], torch.tensor([2.0, 1.0])
    assert layer(x).tolist() == [2.0, -1.0]  # the up-projection starts at zero
    net = layer.bottleneck_net["default"]
    net.down.weight.data, net.down.bias.data = torch.ones(1, 2), torch.tensor([0.5])
    net.up.weight.data, net.up.bias.data = torch.tensor([[10.0], [20.0]]), torch.tensor([1.0, 0.0])
    assert layer(x).tolist() == [2.0 + 15.0 + 1.0, -1.0 + 30.0]
    adapter.disable_adapter_layers()
    assert layer(x).tolist() == [2.0, -1.0]


def test_a_kronecker_sum_by_hand() -> None:
    # n = 2, rank 1: A_1 is the identity, s_1 t_1 = 1 (1, 2); A_2 swaps, s_2 t_2 = 3 (1, 0). So W (2, 4) has the rows
    # (1, 2, 3, 0) and (3, 0, 1, 2), and W (1, 1, 1, 1)' + b = (6 + 1, 6 + 2).
    kind = {"kind": "hypercomplex", "terms": 2, "rank": 1}
    config = BottleneckConfig(target_modules=["0"], reduction=2, network=kind)
    layer = peft.get_peft_model(nn.Sequential(nn.Linear(3, 4)), config).base_model.model[0]
    down = layer.bottleneck_net["default"].down
    with torch.no_grad():
        down.slow.matrices.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]))
        down.left.copy_(torch.tensor([[[1.0]], [[3.0]]]))
        down.right.copy_(torch.tensor([[[1.0, 2.0]], [[1.0, 0.0]]]))
        down.bias.copy_(torch.tensor([1.0, 2.0]))
    assert down.matrix().tolist() == [[1.0, 2.0, 3.0, 0.0], [3.0, 0.0, 1.0, 2.0]]
    assert down(torch.ones(4)).tolist() == [7.0, 8.0]


def test_slow_weights_are_one_parameter_and_stay_so(
    tiny_models: dict, token_items: Callable[..., Items], tmp_path: Path
) -> None:
    encoder = build("compacter", tiny_models["bert"])
    (name,) = (key for key in encoder.state_dict() if key.endswith(SHARED))
    assert name == "backbone.pretrained.encoder.layer.0.attention.output.dense.bottleneck_net.default.down." + SHARED
    perturb(encoder)
    items, slow = token_items(*LENGTHS), encoder.get_parameter(name)
    (encoder(items) * torch.randn(5, 32)).sum().backward()
    assert float(slow.grad.abs().min()) > 0
    encoder.plan.adapter.save_pretrained(tmp_path)
    base = LanguageModelBackbone(str(tiny_models["bert"])).pretrained.bfloat16()
    loaded = peft.PeftModel.from_pretrained(base, tmp_path, is_trainable=True)  # which makes new float32 parameters
    for model in (encoder.backbone.pretrained, loaded, copy.deepcopy(encoder).backbone.pretrained):
        holders = [part for part in model.modules() if hasattr(part, "slow")]
        assert len(holders) == 8
        assert len({id(part.slow.matrices) for part in holders}) == 1
        assert torch.equal(holders[-1].slow.matrices, slow)
        assert sum(key.endswith(SHARED) for key, _ in model.named_parameters()) == 1


def test_a_second_adapter_has_its_own_networks_and_the_first_can_be_put_back(tiny_models: dict) -> None:
    encoder = build("compacter", tiny_models["bert"])
    perturb(encoder)
    adapter, tokens = encoder.plan.adapter, torch.randint(5, 200, (2, 7))

    def output() -> Tensor:
        return adapter(tokens).last_hidden_state

    first = output()
    adapter.add_adapter("second", BottleneckConfig(target_modules=["output.dense"], reduction=4))
    assert torch.equal(output(), first)
    adapter.set_adapter("second")
    with adapter.disable_adapter():
        assert torch.equal(output(), output())
        base = output()
    assert torch.equal(output(), base)  # a new network adds nothing
    adapter.set_adapter("default")
    assert torch.equal(output(), first)
    assert not torch.equal(first, base)


def test_a_folder_says_what_it_holds(tiny_models: dict, tmp_path: Path) -> None:
    build("compacter", tiny_models["bert"]).plan.adapter.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["peft_type"] == "BOTTLENECK"
    assert config["network"] == {"kind": "hypercomplex", "terms": 4, "rank": 1}
    saved = peft.utils.load_peft_weights(str(tmp_path), device="cpu")
    assert len(saved) == TENSORS["compacter"]
    assert not [key for key in saved if "default" in key or "base_layer" in key]


def test_registering_twice_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(peft.PeftType)
    register("bottleneck", BottleneckConfig, BottleneckModel)
    assert list(peft.PeftType) == before
    assert before.count("BOTTLENECK") == 1
    assert type_of("bottleneck") is peft.PeftType["BOTTLENECK"]
    monkeypatch.setattr(peft, "__version__", "0.22.0")
    with pytest.raises(ImportError, match=r"made for peft 0\.21\.x and this is 0\.22\.0"):
        type_of("something_new")
    assert list(peft.PeftType) == before


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("houlsby", {"reduction": 0}, "reduction=0 must be at least 1"),
        ("pfeiffer", {"reduction": 0}, "reduction=0 must be at least 1"),
        ("parallel", {"reduction": 0}, "reduction >= 1 and scale > 0, not 0 and 4.0"),
        ("parallel", {"scale": 0.0}, "reduction >= 1 and scale > 0, not 16 and 0.0"),
        ("compacter", {"terms": 0}, "terms=0, rank=1 must each be at least 1"),
        ("houlsby", {"reduction": 33}, "reduction 33 leaves nothing of width 32: give at most 32"),
        ("compacter", {"reduction": 16}, "leaves 2 of width 32, .* terms=4 .* a reduction of 1, 2, 4, 8, or fewer"),
        ("compacter", {"terms": 5}, "terms=5 does not divide the width 32: give one of 1, 2, 4, 8, 16, 32"),
        ("compacter", {"targets": ["nothing"]}, "compacter target 'nothing' matches no linear module"),
    ],
)
def test_what_cannot_be_is_refused(name: str, settings: dict, message: str, tiny_models: dict) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, tiny_models["bert"], **settings)


@over_strategies
def test_a_family_that_is_not_known_is_refused(name: str, tiny_models: dict) -> None:
    with pytest.raises(ValueError, match=rf"{name} (target|has to know)"):
        build(name, tiny_models["albert"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"target_modules": ["intermediate"]}, "sequential .* linear module, which BertIntermediate is not"),
        ({"target_modules": ["output.dense"], "placement": "parallel"}, "feed-forward block, which Linear is not"),
        ({"activation": "swish"}, "activation 'swish' is unknown: choose relu, gelu, tanh, silu"),
        ({"placement": "below"}, "placement 'below' is unknown: choose sequential, parallel"),
        ({"network": {"kind": "deep"}}, "network 'deep' is unknown: choose dense, hypercomplex"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(config: dict, message: str, tiny_models: dict) -> None:
    with pytest.raises(ValueError, match=message):
        peft.get_peft_model(LanguageModelBackbone(str(tiny_models["bert"])).pretrained, BottleneckConfig(**config))
