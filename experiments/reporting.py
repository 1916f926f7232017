"""What a run tells its loggers: configuration at the start, curves through the trainer, results and cost at the end."""

import os
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers.wandb import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console
from rich.table import Table

from experiments.config.instantiate import instantiate
from experiments.direction import sign_of
from experiments.results import Outcome
from experiments.wiring import Config


def build_loggers(config: Config, folder: Path) -> list[Logger]:
    """The chosen loggers, writing into the run's folder; none is an empty list. A W&B run is named as its folder and
    keeps its id when it is resumed."""
    os.environ.setdefault("WANDB_SILENT", "true")  # where its files lie is said by the run's folder
    facts = {"save_dir": str(folder), "name": folder.name, "version": folder.name}
    nodes = [node for node in (config.get("logger") or {}).values() if node]
    loggers: Any = [instantiate(node, **{k: v for k, v in facts.items() if k not in node}) for node in nodes]
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            _define(logger, config["monitor"])
    return loggers


@rank_zero_only
def conclude(loggers: list[Logger], config: Config, numbers: dict[str, float]) -> None:
    """Configuration, final metrics and cost, into whatever the logger keeps for a whole run. The first process tells
    for all: the others' W&B is a dummy without configuration and summary."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.config.update(config, allow_val_change=True)
            logger.experiment.summary.update(numbers)
        else:
            logger.log_metrics(numbers)
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


def _define(logger: WandbLogger, monitor: str) -> None:
    """Summaries that a person compares: the best validation, the lowest loss; steps as the x axis. The dummy that other
    processes than the first have takes any call."""
    run = logger.experiment
    run.define_metric("trainer/global_step")
    best = "max" if sign_of(monitor) > 0 else "min"
    run.define_metric("valid/*", step_metric="trainer/global_step", summary=best)
    run.define_metric("train/loss", step_metric="trainer/global_step", summary="min")
    run.define_metric(monitor, step_metric="trainer/global_step", summary=best)
