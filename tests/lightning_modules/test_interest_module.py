"""The Lightning side: groups, schedule, hooks of a strategy, what is logged, and checkpoints of another model."""

import math

import pytest
import pytorch_lightning as pl
import torch

from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.parameter_groups import parameter_groups
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.strategies.lora import LoraStrategy
from lightning_modules.types import Plan
from tests.lightning_modules.composition import PAIRS
from tests.lightning_modules.small_model import lightning_module, small_data, small_model, trainer
from tests.lightning_modules.strategies import pairs


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("module")


class HalfStrategy:
    """All of the model at half the rate, with a constant regulariser, and a note of every step."""

    def __init__(self):
        self.steps = []

    def plan(self, pretrained, layers):
        return Plan(
            identity="exact",
            trains=lambda name: True,
            lr_scale=lambda name: 0.5,
            regulariser=lambda: torch.tensor(2.0),
            after_step=lambda made, total: self.steps.append((made, total)),
        )


@pytest.mark.parametrize("strategy", [FrozenStrategy(), LoraStrategy(), HalfStrategy()])
@pytest.mark.parametrize(("interest", "head"), PAIRS)
def test_groups_are_a_partition_of_what_trains_and_spare_vectors_from_decay(root, tiny_bert, strategy, interest, head):
    data = small_data(root, tiny_bert)
    model = small_model(data, tiny_bert, interest, head, strategy)
    groups = parameter_groups(model)
    members = [id(p) for group in groups for p in group["params"]]
    assert len(members) == len(set(members))
    assert set(members) == {id(p) for p in model.parameters() if p.requires_grad}
    inner = {id(p) for p in model.encoder.backbone.pretrained.parameters()}
    for group in groups:
        assert {sum(size > 1 for size in p.shape) > 1 for p in group["params"]} == {"weight_decay" not in group}
        assert group.get("weight_decay", 0.0) == 0.0
        half = isinstance(strategy, HalfStrategy)
        assert all(group["lr_scale"] == (0.5 if half and id(p) in inner else 1.0) for p in group["params"])


def test_a_tensor_that_no_group_holds_is_a_fault(root, monkeypatch):
    data = small_data(root)
    model = small_model(data)
    monkeypatch.setattr(model.encoder, "trainable", list)
    with pytest.raises(RuntimeError, match="do not hold every trainable tensor exactly once"):
        parameter_groups(model)


def test_a_strategys_rate_regulariser_and_hook_are_heeded(root, tiny_bert, monkeypatch):
    data, strategy = small_data(root, tiny_bert), HalfStrategy()
    module = lightning_module(data, small_model(data, tiny_bert, strategy=strategy), lr=0.1)
    run = trainer(accumulate_grad_batches=3)
    run.fit(module, datamodule=data)
    assert strategy.steps == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]  # 13 batches, three to a step
    assert {group["initial_lr"] for group in run.optimizers[0].param_groups} == {0.1, 0.05}
    batch = next(iter(data.train_dataloader()))
    module.eval()
    monkeypatch.setattr(module, "log", lambda *_, **__: None)  # no trainer runs now
    bare = module.model.loss(batch, module.loss)
    torch.testing.assert_close(module.training_step(batch, 0), bare + 2)


class LateStrategy:
    """The upper layer from the start, the rest from half of all steps on."""

    def plan(self, pretrained, layers):
        return Plan(
            identity="exact", trains=lambda name: True, starts=lambda name: 0.0 if "encoder.layer.1" in name else 0.5
        )


@pytest.mark.parametrize(("steps", "moved"), [(3, False), (4, True)])
def test_what_begins_later_stays_bit_for_bit_until_then(root, tiny_bert, steps, moved):
    data = small_data(root, tiny_bert)
    module = lightning_module(data, small_model(data, tiny_bert, strategy=LateStrategy()), lr=0.1)
    before = {name: p.detach().clone() for name, p in module.model.named_parameters()}
    run = trainer(StopAfter(steps), accumulate_grad_batches=3)  # 5 steps; 2.5 of them are over after the third
    run.fit(module, datamodule=data)
    late = [name for name in before if ".pretrained." in name and "encoder.layer.1" not in name and "key" not in name]
    for name, parameter in module.model.named_parameters():
        if name in late:
            assert torch.equal(parameter, before[name]) != moved, name
        elif "encoder.layer.1.attention.self.value" in name:
            assert not torch.equal(parameter, before[name])


class StopAfter(pl.Callback):
    """Ends training after so many steps of a longer plan."""

    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step >= self.steps


@pytest.mark.parametrize(
    ("limits", "total"),
    [
        ({"max_epochs": 3}, 39),
        ({"max_epochs": 3, "accumulate_grad_batches": 3}, 15),
        ({"max_epochs": 3, "max_steps": 5}, 5),
        ({"max_epochs": 3, "limit_train_batches": 4}, 12),
        ({"max_epochs": 2, "limit_train_batches": 0.5}, 12),
        ({"max_epochs": 1, "limit_train_batches": 99}, 13),
        ({"max_epochs": -1, "max_steps": 4}, 4),
        ({"max_epochs": None, "max_steps": 4}, 4),
    ],
)
def test_the_schedule_ends_with_the_run(root, limits, total):
    data, told = small_data(root), []
    module = lightning_module(data, small_model(data))
    schedule = module.scheduler_for
    module.scheduler_for = lambda optimizer, total_steps: told.append(total_steps) or schedule(optimizer, total_steps)
    run = trainer(**limits)
    run.fit(module, datamodule=data)
    assert told == [total]
    assert run.global_step == total
    assert all(group["lr"] == pytest.approx(0, abs=1e-12) for group in run.optimizers[0].param_groups)


def test_a_run_without_end_has_no_schedule(root):
    data = small_data(root)
    with pytest.raises(ValueError, match=r"set trainer\.max_epochs or trainer\.max_steps"):
        trainer(max_epochs=-1).fit(lightning_module(data, small_model(data)), datamodule=data)


def test_training_starts_centred_and_cut_and_validation_takes_both_anew(root):
    data = small_data(root)
    module = lightning_module(data, small_model(data, settings={"head": {"tau": "q0.5"}}), lr=0.1)
    untrained = module.model.encoder.catalogue(data.items()).mean(0)
    seen = []
    step = module.training_step
    module.training_step = lambda *a: seen.append(module.model.encoder.mean.clone()) or step(*a)
    trainer(max_epochs=2).fit(module, datamodule=data)
    torch.testing.assert_close(seen[0], untrained)
    assert torch.equal(seen[12], seen[0])  # fixed within an epoch
    assert not torch.equal(seen[13], seen[0])
    torch.testing.assert_close(module.model.encoder.mean, module.model.encoder.catalogue(data.items()).mean(0))


def test_what_is_logged_is_finite_and_holds_the_bite_of_the_cuts(root):
    data = small_data(root)
    run = trainer()
    run.fit(lightning_module(data, small_model(data)), datamodule=data)
    names = {"train/loss", "valid/ndcg@10", "valid/mrr@10", "graph/cut_share", "graph/edge_density"}
    assert set(run.callback_metrics) == names
    assert all(math.isfinite(value) for value in run.callback_metrics.values())
    assert float(run.callback_metrics["graph/cut_share"] + run.callback_metrics["graph/edge_density"]) == pytest.approx(
        1
    )


CUTS = {f"model.{part}.cut.{name}" for part in ("interest", "head") for name in ("tau", "share")}


@pytest.mark.parametrize("name", pairs.STRATEGIES)
def test_a_checkpoint_holds_what_trains_the_mean_and_the_cuts(name, root, tiny_bert):
    data = small_data(root, tiny_bert)
    module = lightning_module(data, small_model(data, tiny_bert, strategy=pairs.strategy_of(name)))
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    trains = {f"model.encoder.{key}" for key in pairs.names_that_train(module.model.encoder)}
    for part in ("interest", "head"):
        trains |= {f"model.{part}.{key}" for key, _ in getattr(module.model, part).named_parameters()}
    assert set(checkpoint["state_dict"]) == trains | {"model.encoder.mean"} | CUTS


def test_a_checkpoint_holds_no_frozen_weight_and_is_refused_by_another_model(root, tmp_path, tiny_bert):
    data = small_data(root, tiny_bert)
    module = lightning_module(data, small_model(data, tiny_bert, strategy=LoraStrategy(r=4)))
    trainer(LastCheckpoint(tmp_path)).fit(module, datamodule=data)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    trains = {name for name, p in module.named_parameters() if p.requires_grad}
    buffers = set(module.state_dict()) - {name for name, _ in module.named_parameters()}
    assert set(kept) == trains | buffers
    other = lightning_module(data, small_model(data, tiny_bert, strategy=LoraStrategy(r=2)))
    with pytest.raises(
        ValueError, match=r"the checkpoint is of another model: it has .* of shape \(4, 32\), not \(2, 32\)"
    ):
        trainer().fit(other, datamodule=data, ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True)
