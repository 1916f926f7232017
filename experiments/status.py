"""Say how far sweeps are: which jobs are done, running, failed or missing, and how long the rest takes.

    python -m experiments.status                        # every sweep of runs/
    python -m experiments.status /large/disk/runs       # every sweep of another folder of runs
    python -m experiments.status runs/sweeps/NAME.json  # its jobs one by one

Exit status 0 where every job is done, 3 where some are not, 1 where there is nothing to read.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from datamodules.corpus import DataError
from experiments.faults import told
from experiments.runs.provenance import source_digest
from experiments.runs.read import Sweep, read_sweep
from experiments.runs.standing import ORDER, Job, jobs_of, time_left
from experiments.runs.words import own_words, shared_words
from experiments.units import NOTHING, duration, share

OPEN = 3
DEFAULT = [Path("runs")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = _parser().parse_args(arguments)
    whole: list[bool] = []
    status = told(partial(report, options, whole), "status")
    return status or (0 if all(whole) else OPEN)


def report(options: argparse.Namespace, whole: list[bool]) -> None:
    """Print each sweep, one line a job where it was named; appends whether all of its jobs are done."""
    manifests = [path for place in options.paths for path in _manifests(place)]
    each = not any(map(Path.is_dir, options.paths))
    sweeps = {path: sweep for path in manifests if (sweep := read_sweep(path) if each else _readable(path, whole))}
    jobs = {path: jobs_of(sweep.runs, source_digest()) for path, sweep in sweeps.items()}
    console = Console(width=None if sys.stdout.isatty() else 200)
    if each:
        for path, sweep in sweeps.items():
            console.print(_jobs(sweep, jobs[path]))
            console.print(Text(_line(jobs[path])))
    else:
        console.print(_sweeps(sweeps, jobs))
    whole += [all(job.standing in ("done", "stale") for job in some) for some in jobs.values()]


def _readable(path: Path, whole: list[bool]) -> Sweep | None:
    """One that cannot be read takes a line, and the others are told of."""
    try:
        return read_sweep(path)
    except DataError as fault:
        print(f"status: {fault}", file=sys.stderr)
        whole.append(False)
        return None


def _manifests(place: Path) -> list[Path]:
    """Those of a folder of runs, or of sweeps; a file is taken at its word."""
    if place.suffix == ".json":
        return [place]
    folder = place / "sweeps" if (place / "sweeps").is_dir() else place
    if place not in DEFAULT and not place.exists():
        raise DataError("no such file or folder", place)
    found = sorted(folder.glob("*.json"))
    if not found:
        raise DataError("holds no sweep's manifest; a sweep is made by -m", folder)
    return found


def _sweeps(sweeps: dict[Path, Sweep], jobs: dict[Path, list[Job]]) -> Table:
    table = Table("sweep", *ORDER, "time left", title_justify="left")
    for path, sweep in sweeps.items():
        counts = Counter(job.standing for job in jobs[path])
        table.add_row(sweep.name, *(str(counts[one] or NOTHING) for one in ORDER), _left(jobs[path]))
    return table


def _left(jobs: Sequence[Job]) -> str:
    left = time_left(jobs)
    return "?" if left is None else duration(left) if left else NOTHING


def _jobs(sweep: Sweep, jobs: Sequence[Job]) -> Table:
    shared = shared_words([job.run.overrides for job in jobs])
    title = " ".join([f"{sweep.name}:", *shared])
    table = Table("job", "run", "", "trained", "time left", "reason", title=Text(title), title_justify="left")
    for job in jobs:
        open_ = job.standing not in ("done", "stale", "failed")
        cells = (
            own_words(job.run.overrides, shared),
            job.run.id,
            job.standing,
            share(job.share),
            duration(job.left) if open_ else NOTHING,
            job.run.reason if job.standing in ("failed", "missing") else "",
        )
        table.add_row(*map(Text, cells))
    return table


def _line(jobs: Sequence[Job]) -> str:
    counts = Counter(job.standing for job in jobs)
    told_ = ", ".join(f"{counts[one]} {one}" for one in ORDER if counts[one])
    left = time_left(jobs)
    if left is None:
        return f"{told_}; time left is not known before a job like each has ended"
    return told_ + (f"; {duration(left)} left at the most" if left else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.status", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        default=DEFAULT,
        metavar="PATH",
        help="manifests, whose jobs are told one by one, or folders of runs, of which every sweep is (default: runs)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
