"""Of several trials of a setting the one that validation prefers, so that no row owes its place to the test."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.direction import sign_of
from experiments.runs.read import Run
from experiments.tables.rows import Label, TableError, label_of, value_of


@dataclass(frozen=True)
class Trials:
    """What a row was chosen from: so many values of the varied settings, and of how many no run is finished. lost: jobs
    of the trials that were not chosen which are not done, each with the setting that it tried."""

    count: int
    failed: int
    lost: tuple[tuple[str, Run], ...] = ()


@dataclass(frozen=True)
class Picked:
    """runs: those of the chosen trials, and those of rows of which nothing is finished. trials: by the row's label."""

    runs: tuple[Run, ...]
    trials: Mapping[Label, Trials]


def pick(runs: Sequence[Run], keys: Sequence[str], varied: Sequence[str], monitor: str) -> Picked:
    """For each combination of `keys`, keep the values of `varied` with the best mean of `monitor` over the seeds that
    all its finished trials have; one that is not a number is the worst.

    Labels of `trials` are the values of keys, then of varied. Raises `TableError` where `monitor` is no validation
    metric or a finished run lacks it, and where the trials of a row have no seed in common.
    """
    if not monitor.startswith("valid/"):
        raise TableError(
            f"--monitor {monitor} is not of validation: choices are made on valid/..., such as valid/ndcg@10"
        )
    kept: list[Run] = []
    spent: dict[Label, Trials] = {}
    for members in _grouped(runs, keys).values():
        trials = _grouped(members, (*keys, *varied))
        finished = {label: done for label, some in trials.items() if (done := [r for r in some if r.status == "done"])}
        chosen = _best(finished, monitor) if finished else next(iter(trials))
        kept += trials[chosen]
        lost = [run for label, some in trials.items() if label != chosen for run in some if run.status != "done"]
        named = tuple((", ".join(f"{key}={value_of(run, key)}" for key in varied), run) for run in lost)
        spent[chosen] = Trials(len(trials), len(trials) - len(finished), named)
    return Picked(tuple(kept), spent)


def _best(finished: Mapping[Label, Sequence[Run]], monitor: str) -> Label:
    """The trial of the highest mean; of equals the first."""
    seeds = set.intersection(*({run.seed for run in some} for some in finished.values()))
    if not seeds:
        raise TableError(f"the trials {' / '.join(map(', '.join, finished))} have no seed in common to be compared by")
    return max(finished, key=lambda label: merit([run for run in finished[label] if run.seed in seeds], monitor))


def merit(runs: Sequence[Run], monitor: str) -> float:
    """The mean over runs, turned so that more is better. What is not a number compares as nothing does, so that `max`
    would keep it wherever it comes first; it is the worst here. Raises `TableError` where a run lacks the metric."""
    without = next((run.id for run in runs if monitor not in run.metrics), None)
    if without is not None:
        raise TableError(f"run {without} has no {monitor} to choose by")
    mean = sum(run.metrics[monitor] for run in runs) / len(runs)
    return -math.inf if math.isnan(mean) else sign_of(monitor) * mean


def _grouped(runs: Sequence[Run], keys: Sequence[str]) -> dict[Label, list[Run]]:
    groups: dict[Label, list[Run]] = {}
    for run in runs:
        groups.setdefault(label_of(run, keys), []).append(run)
    return groups
