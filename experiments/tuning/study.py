"""A study on disk: optuna's record of its trials, and what was asked for, which may not change under it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from datamodules.storage import LeaseTaken, atomic_write, digest, lease
from experiments.config.check import ConfigError
from experiments.direction import sign_of
from experiments.tuning.space import Space

SAMPLERS: tuple[str, ...] = ("tpe", "random")
SPENT = "run"
"""Attribute of a trial that counts: the id of the run that was begun for it, "" where its setting is refused."""

Verdict = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Asked:
    """What a study is of. objectives: names of metrics or cost/... of a run's result, each the better the way
    `sign_of` says."""

    words: tuple[str, ...]
    space: Mapping[str, str]
    objectives: tuple[str, ...]
    sampler: str
    seed: int
    pruning: bool


class Study:
    """Trials of one space. A trial's setting depends on the seed, on how many were drawn before it, and on what of
    these has ended, so that with one worker a study that was killed and started again draws what it would have drawn.
    """

    def __init__(self, folder: Path, space: Space, asked: Asked) -> None:
        self.folder, self.space, self.asked = folder, space, asked
        folder.mkdir(parents=True, exist_ok=True)
        _require_same(folder / "study.json", asked)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna = optuna.create_study(
            storage=f"sqlite:///{folder / 'study.db'}",
            study_name="study",
            directions=["maximize" if sign_of(name) > 0 else "minimize" for name in asked.objectives],
            pruner=optuna.pruners.MedianPruner() if asked.pruning else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )

    @property
    def runs_dir(self) -> Path:
        """Where its runs lie: RUNS/studies/NAME is the study's folder."""
        return self.folder.parent.parent

    def spent(self) -> list[FrozenTrial]:
        """Trials that count: those that ended, whichever way."""
        return [
            trial
            for trial in self.optuna.get_trials(deepcopy=False)
            if trial.state.is_finished() and SPENT in trial.user_attrs
        ]

    def interrupted(self) -> list[Trial]:
        """Trials that a killed process had begun, to be gone on with. One that was killed while it was drawn is given
        up; the next one is drawn in its place, alike."""
        drawn = self._running()
        for trial in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number not in {one.number for one in drawn}:
                self.optuna.tell(trial.number, state=TrialState.FAIL)
        return [Trial(self.optuna, trial._trial_id) for trial in drawn]

    def ask(self) -> Trial:
        """The next trial, drawn."""
        self.optuna.sampler = _sampler(self.asked.sampler, self.asked.seed, len(self.spent()) + len(self._running()))
        return self.optuna.ask(dict(self.space.searched))

    def refuse(self, trial: Trial) -> None:
        """Count it as failed though no run was begun: there is no model of that setting."""
        trial.set_user_attr(SPENT, "")
        self.tell(trial, "failed")

    def tell(self, trial: Trial, verdict: Verdict, values: list[float] | None = None) -> None:
        """How it ended."""
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        self.optuna.tell(trial, values if verdict == "complete" else None, state=states[verdict])

    def best(self) -> list[FrozenTrial]:
        """The best complete trial, of equals the earliest; with several objectives all that none beats in all of
        them. Empty before one is complete."""
        found = sorted(self.optuna.best_trials, key=lambda trial: trial.number) if self._complete() else []
        return found if len(self.asked.objectives) > 1 else found[:1]

    def _running(self) -> list[FrozenTrial]:
        """Trials that are drawn and have not ended."""
        begun = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [trial for trial in begun if trial.params.keys() == self.space.searched.keys()]

    def _complete(self) -> bool:
        return any(trial.state == TrialState.COMPLETE for trial in self.spent())


def drawn(trial: Trial | FrozenTrial) -> str:
    """A trial's setting in words."""
    shown = {path: f"{value:.4g}" if isinstance(value, float) else value for path, value in trial.params.items()}
    return " ".join(f"{path}={value}" for path, value in shown.items())


@contextmanager
def studying(folder: Path) -> Iterator[None]:
    """Held while a process works on a study. Raises `ConfigError` where another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with lease(folder / "owner", wait=False):
            yield
    except LeaseTaken:
        raise ConfigError(
            [f"{folder}: another process works on this study; wait for it, or name another one"]
        ) from None


def _sampler(name: str, seed: int, number: int) -> BaseSampler:
    """Made anew for each trial, so that nothing of it has to outlive a process."""
    own = int(digest([seed, number]), 16) % 2**31
    if name == "random":
        return RandomSampler(seed=own)
    return TPESampler(seed=own, constant_liar=True)


def _require_same(path: Path, asked: Asked) -> None:
    wanted = json.loads(json.dumps(asdict(asked)))
    if not path.exists():
        atomic_write(path, json.dumps(wanted, indent=1) + "\n")
        return
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    other = [key for key in wanted if before.get(key) != wanted[key]]
    if other:
        told = "; ".join(f"{key} was {before.get(key)} and is {wanted[key]}" for key in other)
        raise ConfigError([f"{path.parent}: is a study of something else ({told}); name another one with --name"])
