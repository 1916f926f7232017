"""A trainer from a configuration, a fit that goes on where it was, and the epoch that is kept. Knows no Hydra."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks.model_checkpoint import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from experiments.config.hardware import usable_gpus
from experiments.config.instantiate import instantiate
from experiments.direction import sign_of
from experiments.wiring import Config
from lightning_modules.callbacks.cost import Cost
from lightning_modules.callbacks.last_checkpoint import OVER
from lightning_modules.checkpoint_io import AtomicCheckpointIO


def build_trainer(config: Config, folder: Path, callbacks: list[pl.Callback], loggers: list[Logger]) -> pl.Trainer:
    """The trainer with the chosen callbacks, then those that every run has; the last one saves, after all others
    acted."""
    chosen = [instantiate(node) for node in (config.get("callbacks") or {}).values() if node]
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # else every new tensor is written twice
    # Said each time, for the choice is the process's and outlives a trainer. On a CPU it would ask for bf16 products.
    rounded = config.get("tf32", False) and usable_gpus(config["trainer"].get("accelerator", "auto"))
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    return instantiate(  # type: ignore[return-value]
        config["trainer"],
        callbacks=[*chosen, *callbacks],
        logger=loggers,
        default_root_dir=str(folder),
        plugins=[AtomicCheckpointIO()],
    )


def best_checkpoint(folder: Path, monitor: str, name: str = "best") -> ModelCheckpoint:
    """Keeps FOLDER/NAME.ckpt of the epoch with the best `monitor`.

    It saves when validation ends, before last.ckpt is written at the end of the epoch: Lightning moves it behind all
    other callbacks, and saving at the end of the epoch as well, last.ckpt would not know of the best that came with it.
    """
    return ModelCheckpoint(
        folder,
        filename=name,
        monitor=monitor,
        mode="max" if sign_of(monitor) > 0 else "min",
        enable_version_counter=False,
        save_weights_only=True,
        save_on_train_epoch_end=False,
    )


def fit(trainer: pl.Trainer, module: pl.LightningModule, data: pl.LightningDataModule | None, last: Path) -> None:
    """Train from the beginning or from `last`. A run that had stopped early when it was interrupted stays stopped; its
    callbacks still learn what they had measured, and the model with which chunks it ended."""
    if not last.exists():
        trainer.fit(module, datamodule=data)
        return
    checkpoint = torch.load(last, map_location="cpu", weights_only=True)
    if not checkpoint[OVER]:
        trainer.fit(module, datamodule=data, ckpt_path=str(last), weights_only=True)
        return
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
        if isinstance(callback, Cost):
            callback.load_state_dict(checkpoint["callbacks"][callback.state_key])
    module.on_load_checkpoint(checkpoint)


def load_weights(module: pl.LightningModule, path: Path) -> None:
    """The trainable tensors and buffers of a checkpoint into a module built from the same configuration."""
    checkpoint = torch.load(path, map_location=module.device, weights_only=True)
    module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"], strict=False)
