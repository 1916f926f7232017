"""Law 5 over every pair: a run of two epochs, with accumulated batches and recomputed activations, that is killed
within the second epoch and resumed ends as the run left alone, bit for bit, whatever a strategy remembers."""

import pytest
import pytorch_lightning as pl
import torch

from datamodules.sources.simulator import SimulatorSource
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.heads.graph import GraphHead
from lightning_modules.interests.graph import GraphInterest
from lightning_modules.recommender import Recommender
from tests.lightning_modules.small_model import lightning_module, small_data, trainer
from tests.lightning_modules.strategies import pairs
from tests.lightning_modules.strategies.test_contract import REFUSED

WORLD = SimulatorSource(users=24, items=20, events=6, seed=4)
FIRST = [(name, "bert") for name in ("adalora", "top_k_gradual", "vera", "compacter", "prefix", "side", "iisan")]
"""Those that remember, begin later, share tensors or hold them outside the layers; the others are many, so slow."""
SUPPORTED = [pair for pair in pairs.PAIRS if pair not in REFUSED]
EVERY_FAMILY = [
    pytest.param(*pair, marks=() if pair in FIRST else pytest.mark.slow, id="-".join(pair)) for pair in SUPPORTED
]
BATCHES = 6
KILLED_AFTER = 9


class Stop(pl.Callback):
    """Ends training as a kill would, after so many batches."""

    def __init__(self):
        self.left = KILLED_AFTER

    def on_train_batch_end(self, *_):
        self.left -= 1
        if self.left == 0:
            raise InterruptedError


def run(root, bert, folder, name, checkpoint, *callbacks):
    data = small_data(root, bert, WORLD, users_per_step=4)
    assert data.steps_per_epoch() == BATCHES
    encoder = pairs.build(name, folder)
    encoder.tokens_per_chunk, encoder.recompute = 64, True
    model = Recommender(encoder, GraphInterest(encoder.dim, len(data.log.behaviours)), GraphHead(data.item_counts))
    module = lightning_module(data, model)
    checkpoint.mkdir(exist_ok=True)
    settings = {"max_epochs": 2, "accumulate_grad_batches": 2, "limit_val_batches": 0}
    last = checkpoint / "last.ckpt"
    fitter = trainer(StepSeed(0), LastCheckpoint(checkpoint, seconds=0), *callbacks, **settings)
    fitter.fit(module, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    return {key: value.clone() for key, value in module.state_dict().items()}


@pytest.mark.parametrize(("name", "family"), EVERY_FAMILY)
def test_a_killed_run_ends_as_the_one_left_alone(name, family, tiny_models, tmp_path_factory, tmp_path):
    root = tmp_path_factory.getbasetemp() / "contract-data"
    where = (root, tiny_models["bert"], tiny_models[family], name)
    alone = run(*where, tmp_path / "alone")
    with pytest.raises(InterruptedError):
        run(*where, tmp_path / "killed", Stop())
    resumed = run(*where, tmp_path / "killed")
    assert resumed.keys() == alone.keys()
    assert [key for key in alone if not torch.equal(alone[key], resumed[key])] == []
