"""A dry run as a person reads it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.runs.dry_run import MEASURE, Job, foresee, measured
from experiments.runs.plan import Plan
from experiments.runs.read import Run, read_finished
from experiments.runs.words import own_words, shared_words
from experiments.units import NOTHING, duration, size


def foretell(planned: Sequence[tuple[Sequence[str], Plan | str]], config: Mapping[str, Any], workers: int) -> None:
    """Print what would become of jobs, given as their words and their plan or why they have none. Nothing runs, but
    with dry_run=measure a few steps of what no finished run is like."""
    finished = read_finished(Path(config["runs_dir"])) if config else []
    known: dict[str, Run] = {}
    jobs = []
    for words, plan in planned:
        if isinstance(plan, str):
            jobs.append(Job(tuple(words), "", "refused", reason=plan))
            continue
        job = foresee(words, plan, finished)
        jobs.append(measured(job, plan, workers, known) if config.get("dry_run") == MEASURE else job)
    show(jobs, workers, Console(width=None if Console().is_terminal else 200))


def show(jobs: Sequence[Job], workers: int, console: Console) -> None:
    """One row a job, then what all of them take."""
    shared = shared_words([job.words for job in jobs])
    table = Table("job", "run", "", "memory", "time", "as", title=Text(" ".join(shared)), title_justify="left")
    for job in jobs:
        found, source = job.forecast, job.forecast.source
        like = f"{len(source)} runs like it" if len(source) > 1 else "".join(source) or NOTHING
        words = own_words(job.words, shared)
        table.add_row(
            *map(Text, (words, job.run, job.doing, size(found.memory), duration(found.seconds), like)),
        )
    console.print(table)
    for reason in dict.fromkeys(job.reason for job in jobs if job.reason):
        console.print(Text(reason))
    console.print(Text(summary(jobs, workers)))


def summary(jobs: Sequence[Job], workers: int) -> str:
    """How many run, how long they take and what they need at most; what is not known is said."""
    waiting = [job for job in jobs if job.runs]
    counts = Counter(job.doing for job in jobs if not job.runs)
    told = [f"{len(waiting)} of {len(jobs)} to run", *(f"{count} {doing}" for doing, count in counts.items())]
    seconds = [job.forecast.seconds for job in waiting if job.forecast.seconds is not None]
    memory = [job.forecast.memory for job in waiting if job.forecast.memory is not None]
    if seconds:
        at_a_time = f", {workers} at a time" if workers > 1 else ""
        told.append(f"{duration(max(sum(seconds) / workers, *seconds))}{at_a_time} and the processes' start")
    if memory:
        told.append(f"{size(max(memory))} for the largest")
    if len(seconds) < len(waiting):
        told.append(f"{len(waiting) - len(seconds)} are like no finished run (dry_run=measure tries them)")
    return "; ".join(told)
