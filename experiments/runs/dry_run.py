"""What would run, in what time and memory, before anything does."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.config import hardware
from experiments.config.ranker import trains
from experiments.runs import provenance
from experiments.runs.attempt import State, decide
from experiments.runs.folder import RunFolder
from experiments.runs.forecast import Forecast, forecast
from experiments.runs.gpus import leased
from experiments.runs.launch import launch, threads_of
from experiments.runs.plan import Plan
from experiments.runs.read import Run, read_run
from experiments.runs.result import failed
from experiments.runs.standing import progress

MEASURE = "measure"
PROBE = {"limit_train_batches": 3, "max_epochs": 2, "max_steps": -1}
"""Of the trainer: the second epoch of three steps is timed, as is one validation, and the final passes are whole."""

DOING = {"reuse": "done", "refuse": "failed twice", "resume": "to run", "restart": "to run", "anew": "to run"}


@dataclass(frozen=True)
class Job:
    """One row: a job's words, its run ("" where it has none), what would be done about it, what that takes, and why
    nothing can be done."""

    words: tuple[str, ...]
    run: str
    doing: str
    forecast: Forecast = field(default_factory=Forecast)
    reason: str = ""

    @property
    def runs(self) -> bool:
        """Whether there is anything to do."""
        return self.doing == "to run"


def foresee(words: Sequence[str], plan: Plan, finished: Sequence[Run]) -> Job:
    """What would become of a planned run, by finished ones like it."""
    state = State.of(plan.folder)
    action = decide(state, provenance.source_digest(), plan.config.get("rerun"))
    found = forecast(plan.config, hardware.describe(), finished) if action not in ("reuse", "refuse") else Forecast()
    if action == "resume" and found.seconds is not None:
        share, _ = progress(plan.folder)
        found = replace(found, seconds=found.seconds * (1 - (share or 0.0)))
    return Job(tuple(words), plan.folder.id, DOING[action], found)


def measured(job: Job, plan: Plan, workers: int, known: dict[str, Run]) -> Job:
    """The same job after a few steps of it in a folder that is thrown away; one measurement for all jobs that differ in
    nothing that costs. known: what was measured before, by the run that it was of."""
    if job.forecast.source or not job.runs:
        return job
    found = forecast(plan.config, hardware.describe(), list(known.values()))
    if not found.source:
        known[plan.folder.id] = probe = _probe(plan, workers)
        found = forecast(plan.config, hardware.describe(), [probe])
    probe = known[found.source[0]]
    if probe.status == "done":
        return replace(job, forecast=replace(found, source=("a few steps",)))
    return replace(job, doing="fails", reason=probe.reason, forecast=Forecast())


def _probe(plan: Plan, workers: int) -> Run:
    """A run of a few steps, told as if it had been whole: its configuration is the plan's."""
    config = _shortened(plan.config)
    with tempfile.TemporaryDirectory() as place, Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        folder = RunFolder(Path(place) / plan.folder.id)
        folder.path.mkdir()
        folder.write("config.json", config)
        folder.write("overrides.json", list(plan.overrides))
        folder.write("provenance.json", {"hardware": hardware.describe()})
        visible = hardware.usable_gpus(config.get("trainer", {}).get("accelerator", "auto"))
        with leased(visible, plan.devices) as gpus:
            status = launch(folder.path, threads_of(workers * plan.devices), gpus, nowhere)
        if State.of(folder).status != "done":
            failed(folder, status)
        return _as_whole(read_run(folder.path), plan.config)


def _shortened(config: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(config) | {"logger": {}}
    if trains(made) or "adaptation" in made:
        made["trainer"] = {**config["trainer"], **PROBE}
        kept = ("early_stopping", "learning_rate", "progress", "startup_table")
        made["callbacks"] = {name: node for name, node in (config.get("callbacks") or {}).items() if name not in kept}
    return made


def _as_whole(probe: Run, config: Mapping[str, Any]) -> Run:
    """Its times with epochs of their full length. Raises KeyError where it timed epochs and does not say how long they
    are: untold, a few steps would pass for an epoch."""
    cost = dict(probe.cost)
    steps, of_epoch = PROBE["limit_train_batches"], cost.get("seconds_per_epoch")
    if of_epoch:
        whole = of_epoch * max((cost["batches_per_epoch"] or 0) / steps, 1)
        cost["seconds"] = (cost.get("seconds") or 0.0) + (cost.get("epochs") or 0) * (whole - of_epoch)
        cost["seconds_per_epoch"] = whole
    return replace(probe, config=config, cost=cost)
