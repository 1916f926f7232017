"""Numbers that only move when somebody means them to move (then: a line under "Numbers" of the changelog).

Made by: OMP_NUM_THREADS=1 python -m pytest tests/experiments/test_golden.py
Commit: the one that last changed a number below (git blame). Hardware: one core of an x86-64 processor with AVX2; two
threads gave the same. Versions: Python 3.11, torch 2.13.0 (CPU), pytorch-lightning 2.6.6, transformers 5.24.0, peft
0.21.2, numpy 2.4.6.
Tolerance: losses 1e-3 of their value, since processors round differently and training carries it on; a metric may move
by three of the 80 queries.
"""

from dataclasses import dataclass

import pytest
import pytorch_lightning as pl
import torch

from experiments.config.compose import compose
from experiments.wiring import build_data, build_module
from lightning_modules.callbacks.step_seed import StepSeed

WORLD = ["users=80", "items=90", "events=12", "cold=0.0"]
USERS = 80


@dataclass(frozen=True)
class Golden:
    """overrides: the composition. loss: mean over the batches of each epoch. ndcg, hr: of the test, at 10."""

    overrides: tuple[str, ...]
    loss: tuple[float, ...]
    ndcg: float
    hr: float


GOLDEN = {
    "sasrec": Golden(("experiment=sasrec", "optimizer.lr=0.01"), (6.05139, 5.05461), 0.03046, 0.075),
    "lora": Golden(
        ("backbone=bert_tiny", "strategy=lora", "optimizer.lr=0.01", "language_model_lr=0.01", "head.tau=q0.5"),
        (6.57733,),
        0.12475,
        0.225,
    ),
}


class Losses(pl.Callback):
    """The loss of every batch, by epoch."""

    def __init__(self):
        self.of = {}

    def on_train_batch_end(self, trainer, module, outputs, *_):
        self.of.setdefault(trainer.current_epoch, []).append(float(outputs["loss"]))


def run(golden, root):
    """Losses of each epoch and the test's metrics."""
    words = [*golden.overrides, *(f"datamodule.source.{word}" for word in WORLD), "datamodule.users_per_step=16"]
    config = compose([*words, f"runs_dir={root}"])
    pl.seed_everything(0, verbose=False)
    data = build_data(config)
    data.prepare_data()
    module, losses = build_module(config, data), Losses()
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_epochs=len(golden.loss), logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, num_sanity_val_steps=0,
        gradient_clip_val=1.0, callbacks=[StepSeed(0), losses],
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    metrics = trainer.test(module, datamodule=data, verbose=False)[0]
    return [torch.tensor(epoch).mean().item() for epoch in losses.of.values()], metrics


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_numbers(name, tmp_path):
    golden = GOLDEN[name]
    loss, metrics = run(golden, tmp_path)
    assert loss == pytest.approx(golden.loss, rel=1e-3)
    assert metrics["test/hr@10"] == pytest.approx(golden.hr, abs=3 / USERS)
    assert metrics["test/ndcg@10"] == pytest.approx(golden.ndcg, abs=3 / USERS)
