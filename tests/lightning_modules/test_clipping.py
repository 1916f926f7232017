"""Gradients are clipped under the optimizer that conf/ chooses, in every precision that has no scale."""

from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from experiments.config.instantiate import instantiate
from tests.lightning_modules.composition import choices
from tests.lightning_modules.small_model import lightning_module, small_data, small_model, trainer

LIMIT = 1e-3


class Lengths(pl.Callback):
    """The gradient's 2-norm and its largest entry, before and after clipping."""

    def __init__(self):
        self.before, self.after = [], []

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.before.append(gradient(module))

    def on_train_batch_end(self, trainer, module, *_):
        self.after.append(gradient(module))


def gradient(module):
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def fused_module(data):
    module = lightning_module(data, small_model(data))
    module.optimizer_for = instantiate(choices("optimizer")["adamw"] | {"lr": 1e-3})
    return module


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("clipping")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("algorithm", ["norm", "value", None])
def test_a_fused_optimizer_gets_clipped_gradients(root, precision, algorithm):
    data, lengths = small_data(root), Lengths()
    settings = {"gradient_clip_algorithm": algorithm} if algorithm else {}
    run = trainer(lengths, precision=precision, gradient_clip_val=LIMIT, limit_train_batches=2, **settings)
    run.fit(fused_module(data), datamodule=data)
    assert all(group["fused"] for group in run.optimizers[0].param_groups)
    for before, after in zip(lengths.before, lengths.after, strict=True):
        clipped = before.clamp(-LIMIT, LIMIT) if algorithm == "value" else before * (LIMIT / before.norm())
        assert before.norm() > LIMIT
        torch.testing.assert_close(after, clipped, rtol=1e-3, atol=1e-9)


def test_without_a_limit_nothing_is_clipped(root):
    data, lengths = small_data(root), Lengths()
    run = trainer(lengths, precision="bf16-mixed", limit_train_batches=2)
    run.fit(fused_module(data), datamodule=data)
    assert all(torch.equal(*pair) for pair in zip(lengths.before, lengths.after, strict=True))


def test_half_precision_with_a_scale_is_still_refused(root):
    """There the scale is taken off within the fused step, after clipping."""
    data = small_data(root)
    run = trainer(precision="bf16-mixed", gradient_clip_val=LIMIT)
    run.precision_plugin.scaler = Mock()
    module = fused_module(data)
    module.trainer = run
    with pytest.raises(RuntimeError, match="does not allow for gradient clipping"):
        module.configure_gradient_clipping(module.optimizer_for(list(module.parameters())), LIMIT, None)
