"""Data modules over small corpora, in the state in which a training run has them."""

from datamodules.candidates.full import FullCandidates
from datamodules.interest_datamodule import InterestDataModule
from datamodules.objectives.next import NextObjective
from datamodules.sources.simulator import SimulatorSource
from datamodules.splits.leave_one_out import LeaveOneOutSplit

WORLD = SimulatorSource(users=40, items=60, events=10, seed=3)


def small_module(root, source=WORLD, **parts):
    """A data module of item ids, unless `parts` say more."""
    chosen = {"split": LeaveOneOutSplit(), "objective": NextObjective(6), "candidates": FullCandidates()} | parts
    return InterestDataModule(source, root=root, **chosen)


def epoch(data, number=0):
    """All batches of an epoch."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)
