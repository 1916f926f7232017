"""Law 5 in the data: each rank its own steps, the same ones with workers, and a resume goes on where it stopped."""

import pytest
import torch

from datamodules.candidates.sampled import SampledCandidates
from datamodules.interest_datamodule import InterestDataModule
from tests.datamodules.small_module import epoch, small_module


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("loaders")


def data_module(root, **settings):
    return small_module(root, candidates=SampledCandidates(7), **{"users_per_step": 6} | settings)


def told(batches):
    return [(b.items.ids.tolist(), b.targets.column.tolist(), b.events.slot.tolist()) for b in batches]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_earlier_epochs_change_nothing(root, workers):
    fresh, alone = data_module(root), told(epoch(data_module(root), 3))
    loader = data_module(root, num_workers=workers).train_dataloader()
    for number in (0, 3):
        loader.sampler.set_epoch(number)
        batches = told(loader)
    assert batches == alone
    assert told(epoch(fresh, 0)) != alone
    assert len(batches) == len(loader) == fresh.steps_per_epoch()


@pytest.mark.parametrize(("workers", "gpu"), [(0, False), (2, False), (0, True), (2, True)])
def test_a_loader_goes_on_where_it_was_stopped(root, workers, gpu, monkeypatch):
    whole = told(epoch(data_module(root), 1))
    monkeypatch.setattr(InterestDataModule, "_on_gpu", lambda self: gpu)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.clone())  # there is no GPU to pin for
    stopped, resumed = (data_module(root, num_workers=workers).train_dataloader() for _ in range(2))
    stopped.sampler.set_epoch(1)
    taken = [batch for _, batch in zip(range(3), stopped, strict=False)]
    resumed.load_state_dict(stopped.state_dict())
    resumed.sampler.set_epoch(1)
    assert stopped.state_dict() == {"given": 3}
    assert told(taken) + told(resumed) == whole
    assert resumed.state_dict() == {"given": 0}  # the epoch is over, however far ahead it was read
    resumed.sampler.set_epoch(1)
    assert told(resumed) == whole  # the next pass starts from the beginning


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_an_epoch_and_make_equally_many_steps(root, world, monkeypatch):
    parts = []
    for rank in range(world):
        data = data_module(root)
        monkeypatch.setattr(data, "_place", lambda rank=rank: (rank, world))
        parts.append(told(epoch(data, 1)))
    assert len({len(part) for part in parts}) == 1
    whole = told(epoch(data_module(root), 1))
    joined = [parts[step % world][step // world] for step in range(world * len(parts[0]))]
    assert joined[: len(whole)] == whole


@pytest.mark.parametrize("seed", [1, 2])
def test_another_seed_is_another_order(root, seed):
    first, second = (told(epoch(data_module(root, seed=s))) for s in (0, seed))
    assert first != second


def test_every_item_row_is_known_by_its_id(root):
    data = data_module(root)
    assert torch.equal(data.items().ids, torch.arange(data.log.n_items))
    with pytest.raises(ValueError, match="users_per_step is 0"):
        data_module(root, users_per_step=0)
    with pytest.raises(ValueError, match="text=null, but a language model wants to read; use text=template"):
        _ = data.texts
    with pytest.raises(ValueError, match="no tokenizer was given"):
        _ = data.tokens
