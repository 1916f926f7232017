"""One trial: a run like any other, watched while it trains."""

import io
import json
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from optuna.trial import Trial

from experiments.config.check import ConfigError
from experiments.direction import COST
from experiments.runs.attempt import attempt
from experiments.runs.plan import Plan, plan_words
from experiments.runs.read import read_run
from experiments.runs.waiting import Stopped
from experiments.tuning.study import SPENT, Study


def plan_of(study: Study, trial: Trial) -> Plan:
    """The run of a trial, which the study remembers from here on."""
    planned = plan_words(study.space.words(trial.params))
    trial.set_user_attr(SPENT, planned.folder.id)
    return planned


def make(study: Study, trial: Trial, planned: Plan, workers: int, lock: threading.Lock, over: threading.Event) -> str:
    """Bring the run to its end, or stop it where the study has seen enough of it. Returns what is said of it. Once
    `over` is set the run is stopped and the trial left open, to be gone on with by the next process."""
    watch = Watch(study, trial, planned.folder.path, lock) if study.asked.pruning else None
    try:
        done = attempt(planned, workers, io.StringIO(), lambda: over.is_set() or (watch is not None and watch.stops()))
    except Stopped:
        if watch is None or not watch.enough:
            return "interrupted; the same command goes on with it"
    if watch is not None and watch.stops():  # a run that ended before anybody looked is judged like one that was seen
        with lock:
            study.tell(trial, "pruned")
        return f"pruned after epoch {watch.judged}"
    with lock:
        if not done:
            study.tell(trial, "failed")
            return "failed"
        try:
            values = values_of(planned.folder.path, study.asked.objectives)
        except ConfigError:
            study.tell(trial, "failed")  # else each start of the search would end here again
            raise
        said = ", ".join(f"{name} {value:.4f}" for name, value in zip(study.asked.objectives, values, strict=True))
        if not all(map(math.isfinite, values)):
            study.tell(trial, "failed")
            return f"failed: {said}"
        study.tell(trial, "complete", values)
    return said


def values_of(folder: Path, objectives: Sequence[str]) -> list[float]:
    """Metrics and costs of a finished run. Raises `ConfigError`, naming those that are there, for one that is not."""
    run = read_run(folder)
    known = dict(run.metrics) | {f"{COST}{name}": value for name, value in run.cost.items() if value is not None}
    return [float(_look_up(name, known)) for name in objectives]


def _look_up(objective: str, measured: Mapping[str, float]) -> float:
    if objective not in measured:
        raise ConfigError([f"--objective {objective}: is not measured; there are {', '.join(sorted(measured))}"])
    return measured[objective]


class Watch:
    """Reads what a run measured after each epoch, and asks the study whether that is enough. judged: how many epochs
    the study was asked about."""

    def __init__(self, study: Study, trial: Trial, folder: Path, lock: threading.Lock) -> None:
        self.study, self.trial, self.folder, self.lock = study, trial, folder, lock
        # A process that was killed may have told the last epoch that it saw without judging it.
        self.judged = max(len(self._known()) - 1, 0)
        self.enough = False

    def stops(self) -> bool:
        """Whether the run is to be stopped at an epoch that it has finished. Epochs are judged one by one in their
        order, so what is decided does not depend on when somebody looks. Raises `ConfigError` where epochs do not
        measure the objective."""
        (objective,) = self.study.asked.objectives
        while not self.enough and self.judged < len(epochs := self._epochs()):
            value = _look_up(objective, epochs[self.judged])
            with self.lock:
                if self.judged not in self._known():
                    self.trial.report(value, self.judged)
                self.enough = self.trial.should_prune()
            self.judged += 1
        return self.enough

    def _known(self) -> set[int]:
        """Epochs of which a process told before it was killed."""
        return set(self.study.optuna.get_trials(deepcopy=False)[self.trial.number].intermediate_values)

    def _epochs(self) -> list[dict[str, float]]:
        try:
            return list(json.loads((self.folder / "epochs.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return []
