"""A run of Weights & Biases as its users expect to find it: named, grouped, tagged, with everything it was set to.

The run itself is always written to its folder (`offline`); where it shall be seen online, a process of its own follows
the file and sends it, see `experiments.upload`. So no server, however slow, stops or slows a run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.storage import digest
from experiments.config.ranker import trains
from experiments.corpus import prepared_of
from experiments.direction import sign_of
from experiments.runs.folder import RunFolder
from experiments.runs.parents import parent_folders
from experiments.runs.read import Run
from experiments.tables.rows import effective, value_of
from experiments.tracking.artifacts import log_made, log_used
from experiments.tracking.harmless import harmless
from experiments.units import NOTHING

STEP = "trainer/global_step"
TARGETS = ("experiments.loggers.HarmlessWandbLogger", "pytorch_lightning.loggers.wandb.WandbLogger")
"""Ours, and Lightning's own where somebody's YAML names it."""

TAGGED = ("datamodule", "backbone", "strategy", "interest", "head")
"""Seams whose choices become tags."""

ROW = "row"
"""Key of the configuration whose value runs share that differ in seeds alone: group by it for mean and deviation."""


def is_wandb(node: Mapping[str, Any]) -> bool:
    """Whether a logger's node is W&B's."""
    return node.get("_target_") in TARGETS


def settings(node: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A node of W&B's logger with what code says beside what a person chose, whose tags come behind the run's own."""
    run = _run(config, folder)
    learns = "adaptation" in config or trains(dict(config))
    tags = [value_of(run, seam)[:64] for seam in (*TAGGED, *(() if learns else ("scorer",))) if config.get(seam)]
    kind = "adapt" if "adaptation" in config else "train" if learns else "score"
    every = dict.fromkeys([*tags, *(node.get("tags") or ())])  # W&B has a set: graph that scores graph is one tag
    return {"job_type": kind, **node, "offline": True, "tags": [tag for tag in every if tag != NOTHING]}


def describe(run: Any, config: Mapping[str, Any], folder: Path) -> None:
    """Tell the configuration and where it comes from, and which summary of a curve a person compares by."""
    _define(run, config["monitor"])
    made = _run(config, folder)
    whole = dict(config) | {ROW: row_of(made), "provenance": dict(made.provenance)}
    run.config.update(whole, allow_val_change=True)


def conclude(run: Any, config: Mapping[str, Any], folder: Path, numbers: Mapping[str, float]) -> None:
    """Tell results and cost, and where the person wants it what the run is made of and what it made; then close it."""
    run.summary.update(dict(numbers))
    if config["logger"].get("artifacts", True):
        with harmless("what the run was made of"):
            log_used(run, prepared_of(dict(config)), parent_folders(dict(config)))
        with harmless("what the run made"):
            log_made(run, folder, numbers)
    run.finish()


def row_of(run: Run) -> str:
    """The readable part of a run's name, and 8 characters of everything that determines its result but the seed and
    what follows from it: what makes one row of a table."""
    seed = f"-s{run.seed or 0}-"
    (whole,) = effective([run])
    return f"{run.id.rpartition(seed)[0]}-{digest(whole)[:8]}"


def _define(run: Any, monitor: str) -> None:
    """The best validation, the lowest loss; steps as the x axis."""
    run.define_metric(STEP)
    best = "max" if sign_of(monitor) > 0 else "min"
    run.define_metric("valid/*", step_metric=STEP, summary=best)
    run.define_metric("train/*", step_metric=STEP)
    run.define_metric("train/loss", step_metric=STEP, summary="min")
    run.define_metric(monitor, step_metric=STEP, summary=best)


def _run(config: Mapping[str, Any], folder: Path) -> Run:
    record = RunFolder(folder)
    words = tuple(record.read("overrides.json") or ())
    return Run(folder.name, "unfinished", folder, words, config, provenance=record.read("provenance.json"))
