"""One run: build, fit, rank validation and test, and say what came out. Knows no Hydra."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from datamodules.interest_datamodule import InterestDataModule
from experiments.adapting import adapt
from experiments.config.idle import idle_settings
from experiments.config.instantiate import instantiate
from experiments.config.monitor import require_measured
from experiments.config.ranker import trains
from experiments.fitting import best_checkpoint, build_trainer, fit, load_weights
from experiments.quiet import silence
from experiments.reporting import build_loggers, conclude, show_sample, tell
from experiments.results import Outcome, collect
from experiments.runs.folder import RunFolder
from experiments.runs.parents import LANGUAGE_MODEL, parent_folders
from experiments.warm_start import warm_start
from experiments.wiring import Config, build_data, build_module, build_scorer
from lightning_modules.callbacks.cost import Cost
from lightning_modules.callbacks.epochs_file import EpochsFile
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.progress_file import FILE as PROGRESS
from lightning_modules.callbacks.progress_file import ProgressFile
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.costs.memory import peak_memory
from lightning_modules.evaluation import evaluate
from lightning_modules.interest_module import InterestModule
from lightning_modules.types import Scorer

Result = dict[str, Any]
Tables = dict[str, dict[str, Any]]
Ranked = tuple[Tables, dict[str, float | None], Scorer]
"""Per-query tables by split, cost, and what ranked, with the catalogue in it."""

SPLITS = ("valid", "test")


def train(config: Config, folder: Path, keep: Callable[[Result], None] = lambda result: None) -> Result:
    """Make the run that `config` describes in `folder`, going on from its last.ckpt where there is one.

    Every process of a distributed run calls it; the first alone concludes the loggers.

    Returns metrics, intervals and cost, as they stand in result.json; per-query tables and checkpoints lie in the
    folder. keep: called with the same before loggers are told of it, so that nothing that becomes of them costs it.
    """
    started = time.perf_counter()
    silence()
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    loggers = build_loggers(config, folder)
    if "adaptation" in config:
        (outcome, cost), show = adapt(config, folder, loggers), None
    else:
        outcome, cost, scorer, data = recommend(config, folder, loggers)
        show = partial(show_sample, loggers, folder.name, scorer, data)
    # Of all attempts, see `Cost`, and to the last result: what loggers are told of it is no cost of it.
    cost["seconds"] = cost.get("seconds", 0.0) + time.perf_counter() - started
    result = {"metrics": outcome.metrics, "intervals": outcome.intervals, "cost": cost}
    keep(result)
    if show is not None:
        show()
    costs = {f"cost/{name}": value for name, value in cost.items() if value is not None}
    last = RunFolder(folder).read(PROGRESS).get("step", 0)
    conclude(loggers, config, folder, outcome.metrics | costs, last)
    return result


def recommend(
    config: Config, folder: Path, loggers: list[Logger]
) -> tuple[Outcome, dict[str, Any], Scorer, InterestDataModule]:
    """Fit a recommender and rank with it. Returns also what ranked, with the catalogue in it, and the data."""
    data = build_data(config)
    for sentence in idle_settings(config):
        warnings.warn(sentence, UserWarning, stacklevel=3)
    tables, cost, scorer = fit_module(config, data, folder, loggers) if trains(config) else fit_scorer(config, data)
    outcome = collect(tables, data, folder)
    tell(outcome)
    return outcome, cost, scorer, data


def fit_scorer(config: Config, data: InterestDataModule) -> Ranked:
    """Fit a scorer in closed form and rank with it; the evaluation is the trained models' own."""
    scorer, protocol = build_scorer(config, data), instantiate(config["metrics"])
    scorer.fit(data.log.training(), data.items())
    scorer.prepare(data.items())
    tables, seconds = {}, 0.0
    for split in SPLITS:
        started = time.perf_counter()
        tables[split] = evaluate(scorer, data.blocks(split), data.log.n_items, protocol)  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
    rate = len(tables["test"]["query"]) / seconds
    return tables, {"trainable_parameters": 0, "queries_per_second": rate, **peak_memory()}, scorer


def fit_module(config: Config, data: InterestDataModule, folder: Path, loggers: list[Logger]) -> Ranked:
    """Fit, take the best checkpoint by validation, rank both splits with it."""
    require_measured(config["monitor"], "monitor", config)
    data.prepare_data()
    module = build_module(config, data)
    for parent in parent_folders(config):
        if not (parent / LANGUAGE_MODEL).is_dir():
            warm_start(module, parent)
    cost, best = Cost(), best_checkpoint(folder, config["monitor"])
    own = [StepSeed(config["seed"]), cost, best, EpochsFile(folder), ProgressFile(folder), LastCheckpoint(folder)]
    trainer = build_trainer(config, folder, own, loggers)
    fit(trainer, module, data, folder / "last.ckpt")
    chunks = module.memory.shrunk()  # before the best epoch's weights, which may bring the larger ones of its time
    load_weights(module, folder / "best.ckpt")
    tables = rank_splits(trainer, module, data)
    summary = cost.summary(module, len(tables["test"]["query"]))
    summary |= {"checkpoint_bytes": (folder / "best.ckpt").stat().st_size, "batches_per_epoch": data.steps_per_epoch()}
    return tables, summary | chunks, module.scorer


def rank_splits(trainer: pl.Trainer, module: InterestModule, data: InterestDataModule) -> Tables:
    """Per-query tables of validation (all its queries) and test."""
    data.validation_sample = None
    trainer.validate(module, dataloaders=data.val_dataloader(), verbose=False)
    tables = {"valid": module.table("valid")}
    trainer.test(module, dataloaders=data.test_dataloader(), verbose=False)
    return tables | {"test": module.table("test")}
