"""What a run tells its loggers: configuration at the start, curves through the trainer, results and cost at the end."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.loggers.wandb import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console
from rich.table import Table

from datamodules.interest_datamodule import InterestDataModule
from experiments.config.instantiate import instantiate
from experiments.config.leaves import flatten
from experiments.results import Outcome
from experiments.tracking import wandb_run
from experiments.tracking.harmless import Losable, harmless
from experiments.tracking.sample import Sample, log_sample
from experiments.tracking.upload import follow
from experiments.wiring import Config
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.types import Scorer


def build_loggers(config: Config, folder: Path) -> list[Logger]:
    """The chosen loggers, writing into the run's folder and told its configuration; none is an empty list. A W&B run is
    named as its folder and keeps its id when it is resumed."""
    os.environ.setdefault("WANDB_SILENT", "true")  # where its files lie is said by the run's folder
    chosen = config.get("logger") or {}
    nodes = [node for node in chosen.values() if isinstance(node, Mapping)]
    loggers: list[Any] = []
    for node in nodes:
        facts = {"save_dir": str(folder), "name": folder.name, "version": folder.name}
        told = wandb_run.settings(node, config, folder) if wandb_run.is_wandb(node) else node
        loggers.append(instantiate(told, **{key: value for key, value in facts.items() if key not in node}))
    for logger in wandb_loggers(loggers):
        # pytorch-lightning 2.6.6 hands on a setting that wandb 0.31 warns of, whatever its value
        getattr(logger, "_wandb_init", {}).pop("anonymous", None)
        begin(logger, config, folder)
    return loggers


def wandb_loggers(loggers: list[Logger]) -> list[WandbLogger]:
    """Those of W&B, unless it failed before."""
    return [logger for logger in loggers if isinstance(logger, WandbLogger) and not _lost(logger)]


def _lost(logger: Logger) -> bool:
    return isinstance(logger, Losable) and logger.lost


@rank_zero_only
def begin(logger: WandbLogger, config: Config, folder: Path) -> None:
    """Tell W&B what is run, and start what sends it. The first process tells for all: the others' W&B is a dummy
    without configuration and summary."""
    with harmless("the configuration"):
        wandb_run.describe(logger.experiment, config, folder)
    if not _lost(logger) and not config["logger"].get("offline", True):
        with harmless("the run, while it is made,"):
            follow(folder)


@rank_zero_only
def show_sample(loggers: list[Logger], name: str, scorer: Scorer, data: InterestDataModule) -> None:
    """Tell W&B what some users get, and why. The scorer has read the catalogue."""
    if not wandb_loggers(loggers):
        return
    with harmless("what some users get"):
        if isinstance(scorer, TrainedScorer):
            scorer.follow()
        sample = Sample.of(name, scorer, data)
        for logger in wandb_loggers(loggers):
            log_sample(logger.experiment, sample)


@rank_zero_only
def conclude(loggers: list[Logger], config: Config, folder: Path, numbers: dict[str, float], step: int = 0) -> None:
    """Configuration, final metrics and cost, into whatever the logger keeps for a whole run; to W&B also what the run
    is made of and what it made. step: the last one, where numbers stand in a logger that knows curves alone."""
    for logger in loggers:
        if _lost(logger):  # which was told when it happened
            continue
        with harmless(f"the end of the run ({type(logger).__name__})"):
            _conclude(logger, config, folder, numbers, step)


def _conclude(logger: Logger, config: Config, folder: Path, numbers: dict[str, float], step: int) -> None:
    if isinstance(logger, WandbLogger):
        wandb_run.conclude(logger.experiment, config, folder, numbers)
    elif isinstance(logger, TensorBoardLogger):
        leaves = flatten(config)  # of which an empty list would be left out
        plain = {key: leaf if isinstance(leaf, int | float | str) else str(leaf) for key, leaf in leaves.items()}
        logger.log_hyperparams(plain, numbers, step)
    else:
        logger.log_hyperparams(config)
        logger.log_metrics(numbers, step)
    logger.finalize("success")


@rank_zero_only
def tell(outcome: Outcome) -> None:
    """Print how good it is: every metric in validation and test, with the test's interval over queries."""
    table = Table("metric", "valid", "test", "95% interval", title="All items ranked", title_justify="left")
    for key, (low, high) in outcome.intervals.items():
        split, _, name = key.partition("/")
        if split == "test" and "/" not in name:
            found = (outcome.metrics[f"valid/{name}"], outcome.metrics[key])
            table.add_row(name, *(f"{value:.4f}" for value in found), f"[{low:.4f}, {high:.4f}]")
    Console().print(table)
