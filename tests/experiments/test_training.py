"""What a run keeps of its best epoch and of its cost, also where it was interrupted."""

from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from experiments.training import best_checkpoint, choose_matmul, fit
from lightning_modules.callbacks.cost import Cost
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from tests.lightning_modules.small_model import lightning_module, small_data, small_model, trainer

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")  # it holds the run


class Scores(pl.Callback):
    """Gives each epoch the score that the test wants, stops training behind the last of them, and dies when asked."""

    def __init__(self, scores, die_in=None):
        self.scores, self.die_in = scores, die_in

    def on_train_batch_start(self, trainer, *_):
        if trainer.current_epoch == self.die_in:
            raise InterruptedError

    def on_validation_epoch_end(self, trainer, module):
        module.log("valid/score", self.scores[trainer.current_epoch])

    def on_train_epoch_end(self, trainer, module):
        trainer.should_stop = trainer.current_epoch == len(self.scores) - 1


def trained(root, folder, die_in, max_epochs):
    """(the best score, the epoch that best.ckpt is of, what was timed and counted) of a run that goes on from what lies
    in `folder`."""
    data = small_data(root)
    cost, best = Cost(), best_checkpoint(folder, "valid/score")
    callbacks = [Scores([0.1, 0.9, 0.5], die_in), cost, best, LastCheckpoint(folder, seconds=1e9)]
    run = trainer(*callbacks, max_epochs=max_epochs, enable_checkpointing=True)
    fit(run, lightning_module(data, small_model(data)), data, folder / "last.ckpt")
    epoch = torch.load(folder / "best.ckpt", weights_only=True)["epoch"]
    return best.best_model_score, epoch, cost


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.mark.parametrize("die_in", [1, 2])
def test_an_interrupted_run_keeps_the_epoch_that_was_the_best(root, tmp_path, die_in):
    """By hand: epoch 1 has 0.9. Killed in epoch 2, a run that forgot it would take epoch 2's 0.5 for the best."""
    with pytest.raises(InterruptedError):
        trained(root, tmp_path, die_in, 3)
    score, epoch, cost = trained(root, tmp_path, None, 3)
    assert float(score) == pytest.approx(0.9)
    assert epoch == 1
    assert cost.finished == 3


def test_a_run_that_had_stopped_when_it_was_interrupted_knows_what_its_epochs_took(root, tmp_path):
    _, _, before = trained(root, tmp_path, None, 9)
    assert before.finished == len(before.epochs) == 3
    data, after = small_data(root), Cost()
    module = lightning_module(data, small_model(data))
    fit(trainer(after, LastCheckpoint(tmp_path), max_epochs=9), module, data, tmp_path / "last.ckpt")
    assert after.epochs == before.epochs
    assert after.summary(module, 5)["epochs"] == 3
    assert after.summary(module, 5)["queries_per_second"] is None  # it was not tested yet


@pytest.mark.parametrize(
    ("rounded", "gpu", "expected"), [(True, True, "high"), (True, False, "highest"), (False, True, "highest")]
)
def test_float32_is_rounded_only_on_a_gpu_and_only_if_asked(rounded, gpu, expected, monkeypatch):
    chosen = Mock()
    monkeypatch.setattr(torch, "set_float32_matmul_precision", chosen)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    choose_matmul(rounded)
    chosen.assert_called_once_with(expected)
