"""Callbacks in real fits: the moving average, the seeds of steps, the checkpoint to go on from."""

from dataclasses import replace
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks.model_checkpoint import ModelCheckpoint

from experiments.fitting import load_weights
from lightning_modules.callbacks.ema import Ema
from lightning_modules.callbacks.gradient_norm import GradientNorm
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.step_seed import StepSeed
from tests.lightning_modules.small_model import lightning_module, small_data, small_model, trainer


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("callbacks")


def trained(module):
    return {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}


class Weights(pl.Callback):
    """The weights after every batch, by optimizer step."""

    def __init__(self):
        self.at = {}

    def on_fit_start(self, trainer, module):
        self.at[0] = trained(module)

    def on_train_batch_end(self, trainer, module, *_):
        self.at[trainer.global_step] = trained(module)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_average_equals_its_loop(root, accumulate):
    data = small_data(root)
    module, ema, weights = lightning_module(data, small_model(data)), Ema(0.8), Weights()
    trainer(ema, weights, max_epochs=2, accumulate_grad_batches=accumulate).fit(module, datamodule=data)
    average = {name: w.double() for name, w in weights.at[0].items()}
    for step in range(1, max(weights.at) + 1):
        decay = min(0.8, (1 + step) / (10 + step))
        for name, w in weights.at[step].items():
            average[name] = decay * average[name] + (1 - decay) * w
    assert ema.average.keys() == average.keys()
    for name, expected in average.items():
        torch.testing.assert_close(ema.average[name], expected.float(), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(w, weights.at[max(weights.at)][name]) for name, w in trained(module).items())


def test_the_checkpoint_of_an_averaged_run_holds_average_and_weights(root, tmp_path):
    data = small_data(root)
    module, ema = lightning_module(data, small_model(data)), Ema(0.8)
    trainer(ema, LastCheckpoint(tmp_path)).fit(module, datamodule=data)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert all(torch.equal(saved["state_dict"][name], ema.average[name]) for name in ema.average)
    assert all(torch.equal(saved["running_weights"][name], w) for name, w in trained(module).items())
    assert not torch.equal(
        saved["running_weights"]["model.interest.query.weight"], ema.average["model.interest.query.weight"]
    )


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("ema", [False, True])
def test_what_validation_measured_is_what_the_best_checkpoint_holds(root, tmp_path, ema, within):
    """Validation ran on the average, so the average is what is kept, and what is ranked after training."""
    data = small_data(root)
    module = lightning_module(data, small_model(data))
    best = ModelCheckpoint(tmp_path, "best", monitor="valid/ndcg@10", mode="max", save_weights_only=True)
    extra = {"val_check_interval": 4} if within else {}
    run = trainer(*([Ema(0.8)] if ema else []), best, max_epochs=3, enable_checkpointing=True, **extra)
    run.fit(module, datamodule=data)
    load_weights(module, tmp_path / "best.ckpt")
    kept = trained(module)
    found = run.validate(module, datamodule=data, verbose=False)
    assert found[0]["valid/ndcg@10"] == float(best.best_model_score)
    run.test(module, datamodule=data, verbose=False)
    assert all(torch.equal(kept[name], w) for name, w in trained(module).items())


def test_an_average_is_refused_where_the_strategy_acts_after_a_step(root):
    data = small_data(root)
    module = lightning_module(data, small_model(data))
    module.model.encoder.plan = replace(module.model.encoder.plan, after_step=lambda made, total: None)
    with pytest.raises(ValueError, match="callbacks=ema averages away what this strategy does after a step"):
        trainer(Ema(0.8)).fit(module, datamodule=data)


class StopAt(pl.Callback):
    """Ends a fit as a kill would, before the given epoch's first batch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, *_):
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


def test_an_averaged_run_resumed_after_an_epoch_equals_the_one_left_alone(root, tmp_path):
    """Then the checkpoint was written while the average stood in the weights' place."""
    found = []
    for name, callbacks in (("alone", []), ("killed", [StopAt(1)]), ("killed", [])):
        data, ema = small_data(root), Ema(0.8)
        module, last = lightning_module(data, small_model(data)), tmp_path / name / "last.ckpt"
        run = trainer(*callbacks, StepSeed(0), ema, LastCheckpoint(last.parent), max_epochs=2)
        try:
            run.fit(module, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        except InterruptedError:
            assert run.global_step == 13
        else:
            found.append((trained(module), ema.average, run.callback_metrics["valid/ndcg@10"]))
    (weights, average, score), (weights2, average2, score2) = found
    assert all(torch.equal(weights[name], weights2[name]) for name in weights)
    assert all(torch.equal(average[name], average2[name]) for name in average)
    assert score == score2


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_decay_that_averages_nothing_is_refused(decay):
    with pytest.raises(ValueError, match="a moving average decays by a factor between 0 and 1"):
        Ema(decay)


def test_every_micro_batch_epoch_rank_and_seed_has_its_own_stream():
    """Also the micro-batches of one optimizer step: they may not share their dropout masks."""
    found = {}
    for seed, epoch, batch, rank in [(s, e, b, r) for s in (0, 1) for e in (0, 1) for b in (0, 1, 2) for r in (0, 1)]:
        place = Mock(spec=pl.Trainer, current_epoch=epoch, global_rank=rank)
        draws = []
        for _ in range(2):
            StepSeed(seed).on_train_batch_start(place, Mock(spec=pl.LightningModule), None, batch)
            draws.append(tuple(torch.rand(4).tolist()))
        assert draws[0] == draws[1]
        found[seed, epoch, batch, rank] = draws[0]
    assert len(set(found.values())) == len(found) == 24


class Saves(LastCheckpoint):
    """Where it wrote: (epoch, batches done)."""

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        self.at = []

    def _write(self, run):
        self.at.append((run.current_epoch, run.fit_loop.epoch_loop.batch_progress.current.completed))
        super()._write(run)


@pytest.mark.parametrize(
    ("seconds", "accumulate", "batches"),
    [(0.0, 1, list(range(1, 14))), (0.0, 3, [3, 6, 9, 12, 13]), (1e9, 1, [13])],
)
def test_the_last_checkpoint_is_written_between_optimizer_steps_when_due_and_at_each_end(
    root, tmp_path, seconds, accumulate, batches
):
    data = small_data(root)
    assert data.steps_per_epoch() == 13
    saves = Saves(tmp_path, seconds)
    run = trainer(saves, max_epochs=2, accumulate_grad_batches=accumulate)
    run.fit(lightning_module(data, small_model(data)), datamodule=data)
    assert [epoch for epoch, _ in saves.at] == [0] * len(batches) + [1] * len(batches)
    done = [
        count + (count < 13) for _, count in saves.at[: len(batches)]
    ]  # a batch counts once its callbacks are through
    assert done == batches
    with pytest.raises(ValueError, match="seconds is -1"):
        LastCheckpoint(tmp_path, -1)


def test_the_gradients_length_is_logged(root):
    data, found = small_data(root), []
    module = lightning_module(data, small_model(data))
    module.on_before_optimizer_step = lambda optimizer: found.append(
        torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]).norm()
    )
    run = trainer(GradientNorm(), log_every_n_steps=1)
    run.fit(module, datamodule=data)
    torch.testing.assert_close(run.callback_metrics["train/gradient_norm"], found[-1])
