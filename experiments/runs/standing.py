"""Where each job of a sweep stands, and how long what is left of it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.runs.attempt import ATTEMPTS, State
from experiments.runs.folder import RunFolder
from experiments.runs.forecast import Forecast, forecast_by_words
from experiments.runs.read import Run

Standing = Literal["done", "stale", "running", "waiting", "interrupted", "failed", "missing"]
"""stale: done by other source code than the present one. waiting: a process has it and its training has not begun,
for instance because no GPU is free. interrupted: begun, and no process works on it. missing: never begun."""

ORDER: tuple[Standing, ...] = ("done", "stale", "running", "waiting", "interrupted", "failed", "missing")


@dataclass(frozen=True)
class Job:
    """A run and where it stands. share: of its training that is done. left: seconds to its end, None where nothing like
    it has ended yet; 0 for what is not run again, or cannot be."""

    run: Run
    standing: Standing
    share: float | None = None
    left: float | None = 0.0


def jobs_of(runs: Sequence[Run], source: str) -> list[Job]:
    """Every run with its standing. source: the digest of today's source."""
    done = [run for run in runs if run.status == "done"]
    return [_job(run, source, done) for run in runs]


def time_left(jobs: Sequence[Job]) -> float | None:
    """Seconds to the end of all, with as many processes at a time as run now, one where none does; None where the time
    of one is not known. A job does not end before itself."""
    left = [job.left for job in jobs]
    known = [seconds for seconds in left if seconds is not None]
    if len(known) < len(left):
        return None
    workers = max(sum(job.standing == "running" for job in jobs), 1)
    return max(sum(known) / workers, max(known, default=0.0))


def _job(run: Run, source: str, done: Sequence[Run]) -> Job:
    if run.status == "done":
        return Job(run, "stale" if run.provenance.get("source_digest") not in (None, source) else "done")
    if run.folder is None:
        return Job(run, "missing", None, 0.0 if run.reason else _expected(run, done).seconds)
    folder = RunFolder(run.folder)
    if folder.is_occupied():
        share, seconds = progress(folder)
        expected = _expected(run, done).seconds
        left = seconds if seconds is not None else expected
        return Job(run, "running", share, left)
    if folder.is_claimed():  # also what failed, and is tried again
        return Job(run, "waiting", progress(folder)[0], _expected(run, done).seconds)
    if run.status == "failed":
        again = State.of(folder).failures < ATTEMPTS
        return Job(run, "failed", None, _expected(run, done).seconds if again else 0.0)
    return Job(run, "interrupted", progress(folder)[0], _expected(run, done).seconds)


def _expected(run: Run, done: Sequence[Run]) -> Forecast:
    return forecast_by_words(run, done)


def progress(folder: RunFolder) -> tuple[float | None, float | None]:
    """Share of the steps that are made, and seconds to the last one at the pace so far."""
    record = folder.read("progress.json")
    steps, step = record.get("steps"), record.get("step")
    if not steps or step is None:
        return None, None
    made = step - record["first"]
    return step / steps, (steps - step) * record["seconds"] / made if made > 0 else None
