"""Make the runs of a table: the one that all begin from, the grids, and further seeds of the best."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from experiments.config.hardware import cores
from experiments.reproduction.spec import Again, TableSpec
from experiments.runs.lifeline import tied
from experiments.runs.plan import plan_words
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_sweep
from experiments.tables.picking import merit, pick
from experiments.tables.rows import value_of

QUIET = ("logger=none", "callbacks.learning_rate=null", "callbacks.progress=null", "callbacks.startup_table=null")
TAIL = 12
"""Lines that are shown of a program that failed."""


class ProgramError(ValueError):
    """A program that had to come to its end did not."""


def make_runs(table: TableSpec, scale: str, own: Sequence[str], workers: int) -> list[Path]:
    """Manifests of all sweeps. own: words of the person who asked, such as runs_dir, which count last. workers: sweeps
    at a time; the threads of the machine are shared among them. Finished runs are reused, so the same words go on where
    they were.

    Raises `ProgramError` where the run that all begin from fails; any other that fails stands in the table.
    """
    last, begin = (*table.scales[scale], *own), []
    if table.begin:
        begin = [f"parents=[{Path(call(first(table, last), workers, must=True)).name}]"]
    manifests = at_once([[*sweep, *begin] for sweep in sweeps_of(table, scale, last)], workers)
    if table.again is None:
        return manifests
    return manifests + at_once(
        [[*words, *begin] for words in seeded_again(table, table.again, manifests, last, scale)], workers
    )


def foretell(table: TableSpec, scale: str, own: Sequence[str], how: str, workers: int) -> None:
    """Let experiments.train say of each sweep what would run; nothing runs. how: its `dry_run`. workers: as of
    `make_runs`; what is measured has as many threads as it would have then.

    Which rows get more seeds is chosen by what comes out, and the run that all begin from names the others; both are
    known once they are made.
    """
    last, begin = (*table.scales[scale], *own), []
    if table.begin:
        words = first(table, last)
        _show([*words, f"dry_run={how}"], workers)
        folder = plan_words(words).folder
        if folder.read("result.json").get("status") == "done":
            begin = [f"parents=[{folder.id}]"]
        else:
            print(f"All others begin from {folder.id}, which is not there yet; they are told as if from nothing.")
    for sweep in sweeps_of(table, scale, last):
        _show(["-m", *sweep, *begin, f"dry_run={how}"], workers)
    if table.again is not None:
        seeds = ", ".join(map(str, table.again.seeds))
        print(f"Then seeds {seeds} of the {table.again.best} best and of {', '.join(table.again.always)}.")


def first(table: TableSpec, last: Sequence[str]) -> list[str]:
    """Words of the run that all others begin from."""
    return merged([*QUIET, *table.begin], _for_all(table, last))


def sweeps_of(table: TableSpec, scale: str, last: Sequence[str]) -> list[list[str]]:
    """Words of the table's sweeps, but for further seeds."""
    grids = [merged([*QUIET, *grid], last) for grid in table.grids]
    return [
        sweep for place, grid in enumerate(grids) for sweep in split(grid, table.each, f"{table.name}-{scale}-{place}")
    ]


def _for_all(table: TableSpec, last: Sequence[str]) -> list[str]:
    """Words that are not about what rows differ in."""
    own = {table.each, *table.by, *table.pick, "seed"}
    return [word for word in last if word.partition("=")[0] not in own]


def merged(words: Sequence[str], last: Sequence[str]) -> list[str]:
    """Words, of which those of one key take each other's place: the last one counts. "+key", "++key" and "key" are one;
    "~key" takes away an earlier word, and stays where there is none."""
    kept: dict[str, str] = {}
    for word in (*words, *last):
        key = word.lstrip("+~").partition("=")[0]
        if word.startswith("~") and key in kept:
            del kept[key]
        else:
            kept[key] = word
    return list(kept.values())


def split(words: Sequence[str], each: str, name: str) -> list[list[str]]:
    """One sweep for each value of the key `each`, with names that tell them apart."""
    found = next((word for word in words if each and word.startswith(f"{each}=")), None)
    if found is None:
        return [[*words, f"name={name}"]]
    values = found.partition("=")[2].split(",")
    rest = [word for word in words if word != found]
    return [[*rest, f"{each}={value}", f"name={name}-{value}"] for value in values]


def seeded_again(
    table: TableSpec, again: Again, manifests: Sequence[Path], last: Sequence[str], scale: str
) -> list[list[str]]:
    """The words of the best by validation, and of those that are always there, at what was picked, with the other
    seeds."""
    runs = runs_of(manifests)
    picked = pick(runs, (again.by,), table.pick, table.monitor).runs if table.pick else runs
    done = sorted((one for one in picked if one.status == "done"), key=lambda one: -merit([one], table.monitor))
    chosen = [one for place, one in enumerate(done) if place < again.best or value_of(one, again.by) in again.always]
    # What others range over was chosen, and what was taken away is gone from a run's own words.
    one_value = [word for word in last if "," not in word and not word.startswith("~")]
    seeds = f"seed={','.join(map(str, again.seeds))}"
    return [
        merged(_unparented(one), [*one_value, seeds, f"name={table.name}-{scale}-seeds-{value_of(one, again.by)}"])
        for one in chosen
    ]


def _unparented(one: Run) -> list[str]:
    return [word for word in one.overrides if not word.startswith("parents=")]


def at_once(sweeps: Sequence[Sequence[str]], workers: int) -> list[Path]:
    """So many sweeps at a time; their manifests, in order. A job that fails stands in its sweep as failed."""
    with ThreadPoolExecutor(workers) as pool:
        return [Path(line) for line in pool.map(lambda words: call(["-m", *words], workers), sweeps)]


def runs_of(manifests: Sequence[Path]) -> list[Run]:
    """All runs of all sweeps, each once."""
    return list({one.id: one for path in manifests for one in read_sweep(path).runs}.values())


def call(words: Sequence[str], workers: int, must: bool = False) -> str:
    """Run experiments.train to its end, after showing the command, and return the last line of its output. Raises
    `ProgramError` where it printed nothing, and where its exit status is not 0 and that line is no file: a sweep of
    which a job failed has a manifest. must: at any other exit status than 0."""
    done = _train(words, workers, capture_output=True)
    lines = done.stdout.strip().splitlines()
    if not lines or (done.returncode and (must or not Path(lines[-1]).is_file())):
        printed = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL:])
        raise ProgramError(f"{shlex.join(words)}: exit status {done.returncode}\n{printed}")
    return lines[-1]


def _show(words: Sequence[str], workers: int) -> None:
    """The same with its output where ours goes."""
    done = _train(words, workers)
    if done.returncode:
        raise ProgramError(f"{shlex.join(words)}: exit status {done.returncode}, for the reason above")


def _train(words: Sequence[str], workers: int, **how: Any) -> subprocess.CompletedProcess[str]:
    """Announced, in the clone, with one worker's share of the machine's cores."""
    print("$ " + shlex.join(["python", "-m", "experiments.train", *words]), flush=True)
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(cores() // workers, 1))
    environment = tied() | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [sys.executable, "-m", "experiments.train", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, **how)
