"""Trials, so many at a time, until there are as many as were asked for."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

from optuna.trial import Trial

from experiments.tuning.study import Study, drawn
from experiments.tuning.trial import make, plan_of


def search(study: Study, trials: int, workers: int) -> None:
    """Bring the study to so many trials: first those that a killed process had begun, then new ones."""
    lock, open_ = threading.Lock(), study.interrupted()

    def work() -> None:
        while (trial := _next(study, trials, open_, lock, running)) is not None:
            try:
                with lock:
                    planned = plan_of(study, trial)
                said = make(study, trial, planned, workers, lock, io.StringIO())
                print(f"trial {trial.number}: {drawn(trial)}: {said} ({planned.folder.id})", flush=True)
            finally:
                running.discard(trial.number)

    running: set[int] = set()
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()


def _next(study: Study, trials: int, open_: list[Trial], lock: threading.Lock, running: set[int]) -> Trial | None:
    with lock:
        if len(study.spent()) + len(running) >= trials:
            return None
        trial = open_.pop(0) if open_ else study.ask()
        running.add(trial.number)
        return trial
