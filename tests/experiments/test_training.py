"""What a run keeps of its best epoch and of its cost, also where it was interrupted."""

import time
from itertools import count
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from experiments import fitting
from experiments.config.compose import compose
from experiments.fitting import best_checkpoint, build_trainer, fit
from experiments.runs.read import read_run
from experiments.training import train
from lightning_modules.callbacks import cost as cost_of_runs
from lightning_modules.callbacks.cost import Cost
from lightning_modules.callbacks.last_checkpoint import OVER, LastCheckpoint
from lightning_modules.costs.energy import Counter
from lightning_modules.recommender import Recommender
from tests.experiments.bench import PATIENCE
from tests.experiments.conftest import RUNS, WORLD
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
    assert cost.before >= sum(cost.epochs[:die_in]) > 0


def test_a_run_that_had_stopped_when_it_was_interrupted_knows_what_its_epochs_took(root, tmp_path):
    _, _, before = trained(root, tmp_path, None, 9)
    assert before.finished == len(before.epochs) == 3
    data, after = small_data(root), Cost()
    module = lightning_module(data, small_model(data))
    fit(trainer(after, LastCheckpoint(tmp_path), max_epochs=9), module, data, tmp_path / "last.ckpt")
    assert after.epochs == before.epochs
    assert after.summary(module, 5)["epochs"] == 3
    assert after.summary(module, 5)["queries_per_second"] is None  # it was not tested yet


def test_the_time_of_earlier_attempts_is_carried_on(monkeypatch):
    """By hand: 30 s to the first checkpoint, lost work behind it, and 5 s of a second attempt to the next one."""
    clock = iter([100.0, 130.0, 1000.0, 1005.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    state = Cost().state_dict()
    again = Cost()
    again.load_state_dict(state)
    assert (state["seconds"], again.before, again.state_dict()["seconds"]) == (30.0, 30.0, 35.0)


def test_a_checkpoint_of_an_older_version_is_gone_on_with(root):
    """What it does not tell of is unknown, but its epochs took what they took."""
    cost, data = Cost(), small_data(root)
    cost.load_state_dict({"epochs": [2.0, 3.0], "finished": 2})
    told = cost.summary(lightning_module(data, small_model(data)), 0)
    assert (told["epochs"], told["seconds"], told["seconds_per_epoch"]) == (2, 5.0, 3.0)
    assert (told["seconds_per_validation"], told["flops_per_step"], told["energy_joules"]) == (None, None, None)


def test_joules_of_one_attempt_do_not_pass_for_those_of_all(monkeypatch):
    monkeypatch.setattr(cost_of_runs, "counters", lambda: [Counter(count(10.0, 5.0).__next__)])
    place = Mock(spec=pl.Trainer), Mock(spec=pl.LightningModule)
    for before, after in ((7.0, 12.0), (None, None)):
        cost = Cost()
        cost.load_state_dict(Cost().state_dict() | {"joules": before})
        cost.on_fit_start(*place)
        cost.on_train_epoch_end(*place)
        assert cost.joules == after


def test_the_seconds_of_a_run_are_those_of_all_its_attempts(tmp_path):
    config = compose([*RUNS["sasrec"], *WORLD, f"runs_dir={tmp_path}"])
    first = train(config, tmp_path)["cost"]["seconds"]
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert 0 < checkpoint["callbacks"]["Cost"]["seconds"] < first
    checkpoint["callbacks"]["Cost"]["seconds"] = 1000.0
    torch.save(checkpoint, tmp_path / "last.ckpt")
    assert 1000 < train(config, tmp_path)["cost"]["seconds"] < 1000 + PATIENCE


@pytest.mark.parametrize(
    ("words", "cards", "expected"),
    [([], 1, "highest"), (["tf32=true"], 1, "high"), (["tf32=true"], 0, "highest"), ([], 0, "highest")],
)
def test_float32_is_rounded_on_a_gpu_where_that_was_asked_for(words, cards, expected, tmp_path, monkeypatch):
    """Half precision asks for no TF32, and a process forgets the choice of the trainer before."""
    asked = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    monkeypatch.setattr(fitting, "usable_gpus", lambda accelerator: (object(),) * cards)
    words = [*words, "trainer.accelerator=cpu", "trainer.precision=bf16-mixed"]
    config = compose([*words, f"runs_dir={tmp_path}"])
    run = build_trainer(config | {"callbacks": {}}, tmp_path, [], [])
    assert run.precision == "bf16-mixed"
    assert asked == [expected]


@pytest.mark.filterwarnings("ignore:memory ran out")
def test_a_run_whose_memory_ran_out_says_which_chunks_were_left(tmp_path, monkeypatch):
    """Also one that had stopped when it was interrupted, and whose best checkpoint is of a time before."""
    loss, steps = Recommender.loss, count()

    def full_once(*given):
        if next(steps) == 5:  # in the second epoch
            raise torch.OutOfMemoryError
        return loss(*given)

    monkeypatch.setattr(Recommender, "loss", full_once)
    config = compose([*RUNS["graph"], *WORLD, "trainer.max_epochs=2", f"runs_dir={tmp_path}"])
    left = {"tokens_per_chunk": 4096, "recompute": True}
    cost = train(config, tmp_path)["cost"]
    assert cost.items() >= left.items()
    for name in ("best", "last"):
        path = tmp_path / f"{name}.ckpt"
        before = {"chunks": left | {"recompute": False}} if name == "best" else {OVER: True}
        torch.save(torch.load(path, weights_only=True) | before, path)
    cost = train(config, tmp_path)["cost"]
    assert cost.items() >= left.items()


def test_a_run_whose_memory_sufficed_says_nothing_of_chunks(tiny_runs):
    cost = read_run(tiny_runs("graph")).cost
    assert "seconds" in cost
    assert not {"tokens_per_chunk", "recompute"} & cost.keys()
