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
FIRST = [(name, "bert") for name in ("adalora", "top_k_gradual", "vera", "prefix", "side", "iisan")]
"""Those that remember, begin later, share tensors or hold them outside the layers; the others are many, so slow."""
SUPPORTED = [pair for pair in pairs.PAIRS if pair not in REFUSED]
EVERY_FAMILY = [
    pytest.param(*pair, marks=() if pair in FIRST else pytest.mark.slow, id="-".join(pair)) for pair in SUPPORTED
]
BATCHES, EPOCHS = 6, 2
KILLED_AFTER, SAVED_AFTER = 9, 8
"""A checkpoint is written behind a step, which every second batch is."""


class Batches(pl.Callback):
    """Counts them, and ends training as a kill would where it is told to."""

    def __init__(self, until: int | None = None) -> None:
        self.until, self.seen = until, 0

    def on_train_batch_end(self, *_):
        self.seen += 1
        if self.seen == self.until:
            raise InterruptedError


@pytest.fixture(scope="module")
def trained(tiny_models, folders, tmp_path_factory):
    """(name, family, folder of checkpoints, batches) -> the module, trained from the last checkpoint where one is."""
    root = tmp_path_factory.mktemp("contract-data")

    def train(name, family, checkpoints, batches):
        data = small_data(root, tiny_models["bert"], WORLD, users_per_step=4)
        assert data.steps_per_epoch() == BATCHES
        encoder = pairs.build(name, folders[name, family])
        encoder.tokens_per_chunk, encoder.recompute = 400, True  # a batch has about a thousand
        interest = GraphInterest(encoder.dim, len(data.log.behaviours))
        module = lightning_module(data, Recommender(encoder, interest, GraphHead(data.item_counts)))
        settings = {"max_epochs": EPOCHS, "accumulate_grad_batches": 2, "limit_val_batches": 0}
        last = checkpoints / "last.ckpt"
        fitter = trainer(StepSeed(0), LastCheckpoint(checkpoints, seconds=0), batches, **settings)
        fitter.fit(module, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        return module

    return train


@pytest.fixture(scope="module")
def alone(trained, tmp_path_factory):
    """(name, family) -> the module of the run that was left alone; each is made once."""
    made = {}

    def of(*pair):
        if pair not in made:
            made[pair] = trained(*pair, tmp_path_factory.mktemp("alone"), Batches())
        return made[pair]

    return of


@pytest.mark.parametrize(("name", "family"), EVERY_FAMILY)
def test_a_killed_run_ends_as_the_one_left_alone(name, family, alone, trained, tmp_path):
    whole = alone(name, family).state_dict()
    with pytest.raises(InterruptedError):
        trained(name, family, tmp_path, Batches(until=KILLED_AFTER))
    assert (tmp_path / "last.ckpt").exists()
    again = Batches()
    resumed = trained(name, family, tmp_path, again).state_dict()
    assert again.seen == EPOCHS * BATCHES - SAVED_AFTER
    assert resumed.keys() == whole.keys()
    assert [key for key, value in whole.items() if not torch.equal(value, resumed[key])] == []


@pytest.mark.parametrize(("name", "family"), EVERY_FAMILY)
def test_what_is_frozen_stays_bit_for_bit_as_it_was_built(name, family, alone, folders):
    encoder, fresh = alone(name, family).model.encoder, pairs.build(name, folders[name, family]).state_dict()
    after, trained = encoder.state_dict(), pairs.names_that_train(encoder)
    assert after.keys() == fresh.keys()
    stayed = {key for key, value in after.items() if torch.equal(value, fresh[key])}
    rounding = {key for key in trained if key.endswith(pairs.SOFTMAX_IGNORES)}
    assert stayed - rounding == after.keys() - trained - {"mean"}
