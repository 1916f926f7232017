"""Law 5: a run that is interrupted anywhere and resumed equals the run left alone, bit for bit on a CPU."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from datamodules.candidates.sampled import SampledCandidates
from datamodules.interest_datamodule import InterestDataModule
from datamodules.objectives.next import NextObjective
from datamodules.sources.simulator import SimulatorSource
from datamodules.splits.leave_one_out import LeaveOneOutSplit
from datamodules.text.template import TemplateText
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.callbacks.ema import Ema
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.checkpoint_io import AtomicCheckpointIO
from lightning_modules.heads.graph import GraphHead
from lightning_modules.interest_module import InterestModule
from lightning_modules.interests.graph import GraphInterest
from lightning_modules.losses.softmax import SoftmaxLoss
from lightning_modules.metrics.ndcg import NdcgMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parts.encoder import Encoder
from lightning_modules.recommender import Recommender
from lightning_modules.schedulers import warmup_cosine
from lightning_modules.strategies.lora import LoraStrategy


class Stop(pl.Callback):
    """Ends the process's training as a kill would: by an exception after a given number of batches."""

    def __init__(self, after: int) -> None:
        self.after, self.seen = after, 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen += 1
        if self.seen == self.after:
            raise InterruptedError


class Losses(pl.Callback):
    """What every batch's loss was, by its place."""

    def __init__(self) -> None:
        self.at: dict[tuple[int, int], float] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
        self.at[trainer.current_epoch, index] = float(outputs["loss"])


def build(root: Path, tiny_bert: Path, workers: int) -> tuple[InterestDataModule, InterestModule]:
    torch.manual_seed(0)
    data = InterestDataModule(
        SimulatorSource(users=60, items=60, events=20, seed=1),
        LeaveOneOutSplit(),
        NextObjective(20),
        SampledCandidates(20),
        root,
        text=TemplateText(),
        tokenizer=tiny_bert,
        users_per_step=8,
        num_workers=workers,
    )
    encoder = Encoder(LanguageModelBackbone(str(tiny_bert)), LoraStrategy())
    interest = GraphInterest(encoder.dim, len(data.log.behaviours), dropout=0.2)
    head = GraphHead(data.item_counts, tau="q0.5", prior="learned")
    module = InterestModule(
        Recommender(encoder, interest, head),
        SoftmaxLoss(),
        lambda groups: torch.optim.AdamW(groups, lr=1e-2, fused=True),
        warmup_cosine,
        EvaluationProtocol((NdcgMetric(10),)),
        data.items,
        data.log.n_items,
    )
    return data, module


def run(root: Path, folder: Path, tiny_bert: Path, case: dict[str, Any], extra: list[pl.Callback]) -> Any:
    data, module = build(root, tiny_bert, case["workers"])
    losses = Losses()
    averages: list[pl.Callback] = [Ema(0.9)] if case["ema"] else []
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=3,
        accumulate_grad_batches=case["accumulate"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[StepSeed(0), losses, *averages, LastCheckpoint(folder, seconds=0), *extra],
    )
    last = folder / "last.ckpt"
    try:
        trainer.fit(module, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    except InterruptedError:
        return losses.at, None, None
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    return losses.at, state, trainer.callback_metrics["valid/ndcg@10"]


@pytest.mark.parametrize(
    ("stop", "workers", "accumulate", "ema"),
    [
        pytest.param(1, 0, 1, False, marks=pytest.mark.slow),
        (3, 0, 1, True),
        pytest.param(8, 0, 1, False, marks=pytest.mark.slow),
        pytest.param(11, 0, 2, False, marks=pytest.mark.slow),
        pytest.param(13, 2, 1, False, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_ends_as_the_one_left_alone(
    tmp_path: Path, tiny_bert: Path, stop: int, workers: int, accumulate: int, ema: bool
) -> None:
    case = {"workers": workers, "accumulate": accumulate, "ema": ema}
    for name in ("alone", "killed"):
        (tmp_path / name).mkdir()
    losses, state, score = run(tmp_path, tmp_path / "alone", tiny_bert, case, [])
    before, nothing, _ = run(tmp_path, tmp_path / "killed", tiny_bert, case, [Stop(stop)])
    after, resumed, resumed_score = run(tmp_path, tmp_path / "killed", tiny_bert, case, [])
    assert nothing is None
    assert len(before) == stop
    assert len(after) <= len(losses) - stop + accumulate  # it went on, it did not start anew
    assert before | after == losses
    assert resumed is not None
    assert resumed.keys() == state.keys()
    assert all(torch.equal(resumed[name], state[name]) for name in state)
    assert resumed_score == score
