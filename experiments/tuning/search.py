"""Trials, so many at a time, until there are as many as were asked for."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

from optuna.trial import Trial

from experiments.config.check import ConfigError
from experiments.tuning.study import Study, drawn
from experiments.tuning.trial import make, plan_of


def search(study: Study, trials: int, workers: int) -> None:
    """Bring the study to so many trials: first those that a killed process had begun, then new ones.

    At an interrupt, or where one worker raises, all stop; what they had begun is gone on with the next time.
    """
    work = Work(study, trials, workers)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for worker in as_completed([pool.submit(work.through) for _ in range(workers)]):
                worker.result()
        finally:
            work.over.set()


class Work:
    """What workers of one study share. over: set once nobody shall begin or go on with a trial."""

    def __init__(self, study: Study, trials: int, workers: int) -> None:
        self.study, self.trials, self.workers = study, trials, workers
        self.lock, self.over = threading.Lock(), threading.Event()
        self.interrupted = study.interrupted()
        self.running: set[int] = set()

    def through(self) -> None:
        """One worker's: trial after trial."""
        while (trial := self._next()) is not None:
            try:
                print(f"trial {trial.number}: {drawn(trial)}: {self._made(trial)}", flush=True)
            finally:
                self.running.discard(trial.number)

    def _next(self) -> Trial | None:
        with self.lock:
            if self.over.is_set() or len(self.study.spent()) + len(self.running) >= self.trials:
                return None
            trial = self.interrupted.pop(0) if self.interrupted else self.study.ask()
            self.running.add(trial.number)
            return trial

    def _made(self, trial: Trial) -> str:
        with self.lock:
            try:
                planned = plan_of(self.study, trial)
            except ConfigError as fault:
                self.study.refuse(trial)
                return f"refused: {' '.join(str(fault).split())}"
        said = make(self.study, trial, planned, self.workers, self.lock, self.over)
        return f"{said} ({planned.folder.id})"
