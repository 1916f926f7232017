"""Checkpoints hold what cannot be had again, are whole or absent, and are refused by another model."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_modules.checkpoint import frozen_digest, kept_state, require_same_model
from lightning_modules.checkpoint_io import AtomicCheckpointIO


def model(frozen=1.0, width=3):
    """A frozen layer below a trained one, with a norm's buffers between."""
    made = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, width))
    made[0].requires_grad_(False).weight.fill_(frozen)
    nn.init.zeros_(made[0].bias)
    return made


def checkpoint(of):
    return {"state_dict": kept_state(of, of.state_dict()), "frozen_digest": frozen_digest(of)}


def test_all_but_frozen_parameters_are_kept():
    kept = kept_state(model(), model().state_dict())
    assert sorted(kept) == [
        "1.bias",
        "1.num_batches_tracked",
        "1.running_mean",
        "1.running_var",
        "1.weight",
        "2.bias",
        "2.weight",
    ]


def test_the_digest_is_of_what_is_frozen_alone():
    first, second, other = model(), model(), model(frozen=2.0)
    nn.init.ones_(second[2].weight)
    assert frozen_digest(first) == frozen_digest(second) != frozen_digest(other)
    renamed = nn.Sequential(nn.Identity(), *model())
    assert frozen_digest(renamed) != frozen_digest(first)


def test_a_checkpoint_of_the_same_model_is_accepted():
    require_same_model(model(), checkpoint(model()))


def faults(module, made):
    with pytest.raises(ValueError, match=r"^the checkpoint is of another model: it ") as caught:
        require_same_model(module, made)
    assert "Give the configuration that it was trained with, or delete it to start anew" in str(caught.value)
    return str(caught.value)


def test_other_frozen_weights_are_named():
    assert "it was trained above other frozen weights" in faults(model(), checkpoint(model(frozen=2.0)))
    assert "other frozen weights" in faults(model(), checkpoint(model()) | {"frozen_digest": None})


def test_tensors_that_lack_are_too_many_or_have_another_shape_are_named():
    made = checkpoint(model(width=4))
    assert "it has 2.weight of shape (4, 3), not (3, 3); it has 2.bias of shape (4,), not (3,)." in faults(
        model(), made
    )
    made = checkpoint(model())
    made["state_dict"]["extra"] = made["state_dict"].pop("2.bias")
    assert "it lacks 2.bias; it has an unknown extra." in faults(model(), made)


def test_many_faults_are_counted():
    made = {"state_dict": {}, "frozen_digest": frozen_digest(model())}
    assert "it lacks 1.weight; it lacks 1.bias; it lacks 1.running_mean and 4 more." in faults(model(), made)


def test_a_checkpoint_reads_back_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "deep" / "last.ckpt"
    for value in (1.0, 2.0):
        AtomicCheckpointIO().save_checkpoint({"w": torch.tensor(value)}, path)
    assert torch.load(path, weights_only=True) == {"w": torch.tensor(2.0)}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_write_that_fails_leaves_the_former_checkpoint_alone(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"w": 1}, path)

    def full_disk(value, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({"w": 2}, path)
    assert torch.load(path, weights_only=True) == {"w": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


KILLED = """
import io, os, signal, sys
import torch
from lightning_modules.checkpoint_io import AtomicCheckpointIO

whole = torch.save

def half(value, file):
    made = io.BytesIO()
    whole(value, made)
    file.write(made.getvalue()[: len(made.getvalue()) // 2])
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

AtomicCheckpointIO().save_checkpoint({"w": torch.ones(100_000)}, sys.argv[1])
torch.save = half
AtomicCheckpointIO().save_checkpoint({"w": torch.zeros(100_000)}, sys.argv[1])
"""


def test_a_process_killed_while_writing_leaves_the_former_checkpoint(tmp_path: Path, repository: Path):
    path = tmp_path / "last.ckpt"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=repository, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "last.ckpt.partial").exists()  # it really was in the middle
    assert torch.load(path, weights_only=True)["w"].sum() == 100_000
    AtomicCheckpointIO().save_checkpoint({"w": 3}, path)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
