"""A step for which memory does not suffice ends as if its chunks had been small from the start, bit for bit."""

import re
import weakref
from contextlib import nullcontext
from typing import ClassVar

import pytest
import pytorch_lightning as pl
import torch

from lightning_modules import memory_retry
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.memory_retry import LEAST_TOKENS
from lightning_modules.strategies.frozen import FrozenStrategy
from tests.lightning_modules.small_model import lightning_module, small_data, small_model, trainer

SAID = r"memory ran out; from now on texts are encoded in chunks of (\d+) tokens"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("memory")


class Noted(torch.autograd.Function):
    """The identity, whose node in the graph can be watched: it lives as long as the graph."""

    alive: ClassVar = weakref.WeakSet()

    @staticmethod
    def forward(ctx, hidden):
        Noted.alive.add(ctx)
        return hidden.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Ceiling(pl.Callback):
    """From micro-batch `since` on, a layer that gets more than `tokens` finds no memory, there or on the way back.
    Whatever one attempt made must be gone before the next."""

    def __init__(self, tokens, where, since=0):
        self.tokens, self.where, self.since = tokens, where, since
        self.active, self.failed, self.raised, self.left = False, False, 0, []

    def on_fit_start(self, trainer, module):
        module.model.encoder.backbone.layers[1].register_forward_hook(self.hook)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.active = batch_idx >= self.since

    def hook(self, layer, arguments, output):
        if self.failed:
            self.left.append(len(Noted.alive))
            self.failed = False
        output = Noted.apply(output)
        if self.active and arguments[0].shape[:-1].numel() > self.tokens:
            if self.where == "forward":
                self.fail()
            output.register_hook(self.fail)
        return output

    def fail(self, *_):
        self.raised += 1
        self.failed = True
        raise torch.OutOfMemoryError("CUDA out of memory")


class Small(pl.Callback):
    """The twin: the chunks that are left, set by hand at the same place."""

    def __init__(self, tokens, since=0):
        self.tokens, self.since = tokens, since

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == self.since and trainer.current_epoch == 0:
            module.model.encoder.tokens_per_chunk, module.model.encoder.recompute = self.tokens, True


def fitted(root, bert, *callbacks, **settings):
    """(weights, encoder) after six steps with dropout."""
    data = small_data(root, bert)
    module = lightning_module(data, small_model(data, bert))
    module.model.encoder.tokens_per_chunk = 1024
    short = {"limit_train_batches": 6, "limit_val_batches": 0, "gradient_clip_val": 1.0} | settings
    trainer(StepSeed(0), *callbacks, **short).fit(module, datamodule=data)
    return {name: p.detach().clone() for name, p in module.named_parameters()}, module.model.encoder


@pytest.mark.parametrize("where", ["forward", pytest.param("backward", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("since", "settings"),
    [
        pytest.param(0, {}, marks=pytest.mark.slow),
        (3, {"accumulate_grad_batches": 2}),
        pytest.param(3, {"accumulate_grad_batches": 2, "precision": "bf16-mixed"}, marks=pytest.mark.slow),
    ],
)
def test_the_weights_are_those_of_small_chunks(root, tiny_bert, where, since, settings):
    """Micro-batch 3 is the second of its step: the first one's gradients have to be kept."""
    ceiling = Ceiling(300, where, since)
    with pytest.warns(UserWarning, match=SAID) as said:
        weights, encoder = fitted(root, tiny_bert, ceiling, **settings)
    twin, _ = fitted(root, tiny_bert, Small(256, since), **settings)
    assert (encoder.tokens_per_chunk, encoder.recompute) == (256, True)
    assert re.findall(SAID, " ".join(str(warning.message) for warning in said)) == ["1024", "512", "256"]
    assert ceiling.raised == 3
    if where == "forward":  # after a failed way back, the engine's queue of a CPU keeps what it never reached
        assert ceiling.left == [0, 0, 0]
    assert all(torch.equal(weights[name], expected) for name, expected in twin.items())
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_a_resumed_run_goes_on_with_the_chunks_that_fitted(root, tiny_bert, tmp_path):
    with pytest.warns(UserWarning, match=SAID):
        fitted(root, tiny_bert, Ceiling(300, "forward"), LastCheckpoint(tmp_path))
    data = small_data(root, tiny_bert)
    module = lightning_module(data, small_model(data, tiny_bert))
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    module.on_load_checkpoint(checkpoint)
    assert module.memory.state_dict() == {"tokens_per_chunk": 256, "recompute": True}
    del checkpoint["chunks"]
    module.on_load_checkpoint(checkpoint)
    assert module.memory.state_dict() == {"tokens_per_chunk": 256, "recompute": True}


def test_a_checkpoint_keeps_the_smallest_chunks_of_all_processes(root, tiny_bert, monkeypatch):
    data = small_data(root, tiny_bert)
    memory = lightning_module(data, small_model(data, tiny_bert)).memory
    assert memory.shrunk() == {}
    monkeypatch.setattr(memory_retry, "least", torch.tensor([512, 0]).minimum)  # what another process gives
    assert memory.state_dict() == memory.shrunk() == {"tokens_per_chunk": 512, "recompute": True}
    memory.encoder.tokens_per_chunk = 256
    assert memory.state_dict() == {"tokens_per_chunk": 256, "recompute": True}


@pytest.mark.filterwarnings("ignore:memory ran out")
@pytest.mark.parametrize("where", ["forward", pytest.param("backward", marks=pytest.mark.slow)])
def test_where_the_smallest_chunks_do_not_fit_the_settings_that_help_are_named(root, tiny_bert, where):
    ceiling = Ceiling(0, where)
    with pytest.raises(torch.OutOfMemoryError, match=rf"{LEAST_TOKENS} tokens: lower datamodule\.users_per_step"):
        fitted(root, tiny_bert, ceiling)
    assert ceiling.raised == 5  # as asked, recomputed, 512, 256, 128


@pytest.mark.parametrize("reads", [False, True])
def test_a_model_that_encodes_no_text_in_a_step_does_not_try_smaller_chunks(reads, root, tiny_bert, monkeypatch):
    bert, strategy = (tiny_bert, FrozenStrategy()) if reads else (None, None)
    data = small_data(root, bert)
    module = lightning_module(data, small_model(data, bert, strategy=strategy))

    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(module.model, "loss", full)
    with pytest.raises(torch.OutOfMemoryError, match=r"encodes no text.* lower datamodule\.users_per_step"):
        trainer().fit(module, datamodule=data)


@pytest.mark.slow
def test_of_several_processes_none_repeats_its_backward_pass_alone(root, tiny_bert, monkeypatch):
    monkeypatch.setattr(memory_retry, "place", lambda: (0, 2))
    ceiling = Ceiling(300, "backward")
    with pytest.raises(torch.OutOfMemoryError, match="backward pass of a distributed run"):
        fitted(root, tiny_bert, ceiling)
    assert ceiling.raised == 1
    with pytest.warns(UserWarning, match=SAID):
        weights, _ = fitted(root, tiny_bert, Ceiling(300, "forward"))  # before anything was added up, each may
    twin, _ = fitted(root, tiny_bert, Small(256))
    assert all(torch.equal(weights[name], expected) for name, expected in twin.items())


def test_the_trainer_does_not_hold_the_graph(root, tiny_bert):
    """Else it could not be given up before a second attempt."""
    data = small_data(root, tiny_bert)
    module = lightning_module(data, small_model(data, tiny_bert))
    batch = next(iter(data.train_dataloader()))
    stand_in = module.memory.forward(lambda: module.model.loss(batch, module.loss))
    assert stand_in.grad_fn is None
    module.memory.backward((stand_in / 4).backward, module.parameters(), nullcontext)
    assert any(p.grad is not None for p in module.parameters())
    assert module.memory._loss is None
