"""Half precision is the language model's alone, and validation reads in the precision of training."""

import pytest
import pytorch_lightning as pl
import torch

from datamodules.types import Items, Ragged
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts import varlen_attention
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.full_precision import full_precision
from lightning_modules.strategies.full import FullStrategy
from lightning_modules.strategies.lokr import LokrStrategy
from lightning_modules.strategies.top_k import TopKStrategy
from lightning_modules.strategies.vera import VeraStrategy
from tests.lightning_modules.small_model import lightning_module, small_data, small_model, trainer

CPU = torch.device("cpu")
LENGTHS = (9, 3, 20, 7)


@pytest.fixture
def rounded():
    """A process that asked for TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


def test_inside_full_precision_nothing_is_rounded_and_afterwards_all_is_as_before(rounded):
    square = torch.randn(3, 3)

    def state():
        return torch.get_float32_matmul_precision(), (square @ square).dtype

    with torch.autocast("cpu", torch.bfloat16):
        with full_precision(CPU), full_precision(CPU):
            assert state() == ("highest", torch.float32)
        with pytest.raises(KeyError), full_precision(CPU):
            raise KeyError
        assert state() == ("high", torch.bfloat16)


class Noting:
    """Notes in which type each named module computed."""

    def __init__(self, root, *names):
        self.types = {}
        for name in names:
            root.get_submodule(name).register_forward_hook(
                lambda _, given, output, name=name: self.types.setdefault(name, set()).add(output.dtype)
            )


def test_what_follows_the_language_model_is_in_full_precision(tiny_models, token_items):
    items = token_items(*LENGTHS)
    backbone = LanguageModelBackbone(str(tiny_models["bert"]), pooling="attention", whiten=True, dim=4)
    encoder = Encoder(backbone, FullStrategy())
    encoder.fit(lambda: encoder.pooled(items))
    inner = "pretrained.encoder.layer.0.intermediate.dense"
    noted = Noting(backbone, inner, "pooling", "whitening", "projection")
    with torch.autocast("cpu", torch.bfloat16):
        vectors = [encoder(items), encoder.catalogue(items)]
    assert {vector.dtype for vector in vectors} == {torch.float32}
    assert noted.types.pop(inner) == {torch.bfloat16}
    assert len(noted.types) == 3
    assert all(types == {torch.float32} for types in noted.types.values())


class Cuts(pl.Callback):
    """Whether any cut is taken under autocast."""

    def on_fit_start(self, trainer, module):
        self.found, calibrate = [], module.model.calibrate

        def noted(*given):
            self.found.append(torch.is_autocast_enabled("cpu"))
            return calibrate(*given)

        module.model.calibrate = noted


@pytest.mark.parametrize(
    ("family", "strategy"),
    [
        ("llama", FullStrategy()),
        ("qwen3", FullStrategy()),
        ("bert", VeraStrategy()),
        ("bert", LokrStrategy(targets=["value"])),
    ],
)
def test_attention_gets_three_tensors_of_one_type(family, strategy, tiny_models, token_items, monkeypatch):
    """The kernel for texts of unequal length takes no other; rotary positions and peft leave some in float32."""
    asked = []

    def serves(device, dtype, *_, **__):
        asked.append(dtype)
        return True

    def attend(query, key, value, runs, causal, scaling):
        assert {query.dtype, key.dtype, value.dtype} == {torch.bfloat16}
        return query.transpose(0, 1)

    monkeypatch.setattr(varlen_attention, "serves", serves)
    monkeypatch.setattr(varlen_attention, "attend", attend)
    encoder = Encoder(LanguageModelBackbone(str(tiny_models[family])), strategy)
    with torch.autocast("cpu", torch.bfloat16):
        encoder(token_items(*LENGTHS))
    assert asked == [torch.bfloat16] * 2


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_validation_reads_in_the_precision_of_training(precision, tmp_path, tiny_bert):
    data, cuts = small_data(tmp_path, tiny_bert), Cuts()
    module = lightning_module(data, small_model(data, tiny_bert))
    inner = "pretrained.encoder.layer.0.intermediate.dense"
    noted = Noting(module.model.encoder.backbone, inner, "projection")
    run = trainer(cuts, precision=precision, limit_train_batches=0, limit_val_batches=1)
    run.validate(module, data, verbose=False)
    run.fit(module, datamodule=data)
    run.test(module, data, verbose=False)
    expected = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    assert noted.types == {inner: {expected}, "projection": {torch.float32}}
    assert cuts.found
    assert not any(cuts.found)


def test_states_stay_on_the_host_until_their_chunk_is_read(tmp_path, tiny_bert, token_items, monkeypatch):
    """Of a real catalogue they are gigabytes."""
    data = small_data(tmp_path, tiny_bert)
    module = lightning_module(data, small_model(data, tiny_bert, strategy=TopKStrategy(k=1)))
    items, moved = token_items(*LENGTHS), []
    states = Ragged(torch.randn(sum(LENGTHS), 32), items.tokens.offsets)
    kept = Items(items.ids, states=states)
    module.items = lambda: kept
    monkeypatch.setattr(module, "transfer_batch_to_device", lambda given, *_: moved.append(given) or given)
    assert module._items().states is states
    assert [given.states for given in moved] == [None]
    encoder = module.model.encoder.to("meta")
    entered = encoder._entered(Items(items.ids.to("meta"), states=states))
    assert (entered.hidden.device.type, entered.depth) == ("meta", 1)
