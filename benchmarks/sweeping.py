"""What programs share that make a table of many runs: several sweeps at a time, and evidence of what they found."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.checking import run
from experiments.config.compose import FOLDERS
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_run, read_sweep

QUIET = ("logger=none", "callbacks.learning_rate=null", "callbacks.progress=null", "callbacks.startup_table=null")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def cores() -> int:
    """Of this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def at_once(grids: Sequence[Sequence[str]], workers: int) -> list[Path]:
    """Sweeps by the words of experiments.train, so many at a time with a thread each; their manifests, in order. A job
    that fails stands in its sweep as failed."""

    def sweep(words: Sequence[str]) -> Path:
        return run("experiments.train", ["-m", *words], env=ONE_THREAD, may_fail=True).path

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(sweep, grids))


def runs_of(manifests: Sequence[Path]) -> list[Run]:
    """All runs of all sweeps, each once."""
    return list({one.id: one for path in manifests for one in read_sweep(path).runs}.values())


def with_parents(runs: Sequence[Run]) -> list[Run]:
    """The runs, those that they began from, and those that these began from, each once."""
    found = {one.id: one for one in runs}
    waiting = list(runs)
    while waiting:
        one = waiting.pop()
        for name in map(str, one.provenance.get("parents") or ()):
            if name not in found and one.folder is not None:
                found[name] = read_run(one.folder.parent / name)
                waiting.append(found[name])
    return list(found.values())


def keep_evidence(manifests: Sequence[Path], folder: Path) -> None:
    """A copy of each run's result.json and of those that it began from, by the run's id, in which folders of this
    machine are called by what lies in them: a result says nothing of where it was made."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for one in with_parents(runs_of(manifests)):
        if one.folder is not None and (one.folder / "result.json").is_file():
            text = (one.folder / "result.json").read_text(encoding="utf-8")
            (folder / "runs" / f"{one.id}.json").write_text(_without_places(text, one), encoding="utf-8")


def _without_places(text: str, one: Run) -> str:
    for name in FOLDERS:
        place = one.config.get(name)
        text = text.replace(str(place), name.removesuffix("_dir")) if place else text
    return text.replace(str(ROOT), ".")
