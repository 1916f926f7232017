"""Kill a sweep at random moments, start it again, and compare with one left alone; then a job that raises.

    python -m benchmarks.check_resume [--kills 6] [--backbone minilm]

Every other kill takes the whole process group (a machine that stops), the others the parent alone (the kernel short of
memory); after each nothing of the sweep may still run. Kills fall at moments drawn from the clock's own randomness, so
no two runs of this check are alike. All runs lie in a temporary folder.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.checking import Check, program, run
from experiments.runs.lifeline import tied
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_sweep

SWEEP = (
    "-m",
    "strategy=frozen,lora,full",
    "seed=0,1",
    "datamodule.source.users=60",
    "datamodule.source.items=60",
    "datamodule.users_per_step=10",
    "trainer.max_epochs=3",
    "logger=none",
)
SPLITS = ("valid", "test")
GONE_SECONDS = 20.0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.check_resume", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--backbone", default="minilm", help="bert_tiny makes it a matter of two minutes")
    options = parser.parse_args()
    check = Check("Does a sweep that is killed and started again end with the same numbers as one left alone?")
    with tempfile.TemporaryDirectory() as folder:
        words = [*SWEEP, f"backbone={options.backbone}", f"cache_dir={folder}/cache"]
        alone, taken = left_alone(words, Path(folder, "alone"))
        killed = killed_often(
            check, [*words, f"runs_dir={folder}/killed"], options.kills, 2 * taken / (options.kills + 1)
        )
        compare(check, alone, killed)
        third_start(check, [*words, f"runs_dir={folder}/killed"])
        raising(check, [f"backbone={options.backbone}", f"runs_dir={folder}/raising", f"cache_dir={folder}/cache"])
    return check.close()


def left_alone(words: Sequence[str], runs_dir: Path) -> tuple[list[Run], float]:
    """The runs of the undisturbed sweep, and its seconds."""
    finished = run("experiments.train", [*words, f"runs_dir={runs_dir}"])
    return list(read_sweep(finished.path).runs), finished.seconds


def killed_often(check: Check, words: Sequence[str], kills: int, longest: float) -> list[Run]:
    """Start the sweep, kill it, start it again ..., and let the last start come to its end."""
    chance, done = random.SystemRandom(), 0
    for number in range(kills):
        whole_group, after = number % 2 == 0, chance.uniform(2.0, longest)
        survivors = start_and_kill(words, after, whole_group)
        if survivors is None:
            print(f"  start {number + 1} ended before it could be killed")
            continue
        done += 1
        what = "the process group" if whole_group else "the parent alone"
        print(
            f"  start {number + 1}: SIGKILL to {what} after {after:.1f} s; left running: {survivors or 'nothing'}",
            flush=True,
        )
        if survivors:
            check.hold(f"kill {number + 1} leaves nothing running", survivors, "nothing", False)
    check.hold("kills while the sweep ran", done, ">= 1", done >= 1)
    return list(read_sweep(run("experiments.train", words).path).runs)


def start_and_kill(
    words: Sequence[str], after: float, whole_group: bool, name: str = "experiments.train"
) -> list[int] | None:
    """Process ids of the program that outlived the kill; None where it ended by itself before."""
    parent = subprocess.Popen(
        program(name, words),
        cwd=ROOT,
        env=tied(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        parent.wait(after)
    except subprocess.TimeoutExpired:
        (os.killpg if whole_group else os.kill)(parent.pid, signal.SIGKILL)
        parent.wait()
        return survivors_of(parent.pid)
    return None


def survivors_of(session: int) -> list[int]:
    """Members of the session that still live after `GONE_SECONDS`; they are ended then."""
    deadline = time.monotonic() + GONE_SECONDS
    while (left := members(session)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for member in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    return left


def members(session: int) -> list[int]:
    """Living processes of a session, from /proc/PID/stat: after the name in brackets stand state, parent, group,
    session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found


def compare(check: Check, alone: Sequence[Run], killed: Sequence[Run]) -> None:
    """Every number of result.json, and every value of every query, to the last bit."""
    check.hold("same runs", len(killed), f"{len(alone)}", [run.id for run in alone] == [run.id for run in killed])
    for left, right in zip(alone, killed, strict=True):
        equal = left.status == right.status == "done" and left.metrics == right.metrics
        equal = (
            equal and left.intervals == right.intervals and all(same_queries(left, right, split) for split in SPLITS)
        )
        found = f"test/ndcg@10 {right.metrics.get('test/ndcg@10')} and {left.metrics.get('test/ndcg@10')}"
        check.hold(f"{' '.join(right.overrides[:2])}, killed and alone", found, "equal in every number", equal)


def same_queries(left: Run, right: Run, split: str) -> bool:
    """Whether two runs' values of all queries are equal."""
    tables = [pq.read_table(run.folder / f"queries-{split}.parquet") for run in (left, right) if run.folder]
    return len(tables) == 2 and tables[0].equals(tables[1])


def third_start(check: Check, words: Sequence[str]) -> None:
    """Everything is finished: nothing may run."""
    again = run("experiments.train", words)
    reused, ran = again.out.count(": finished before"), again.out.count(": running in")
    check.hold(
        "a third start", f"{reused} runs reused, {ran} run, {again.seconds:.1f} s", "6 and 0", (reused, ran) == (6, 0)
    )


def raising(check: Check, words: Sequence[str]) -> None:
    """A job whose LoRA target matches nothing, between two whole ones."""
    targets = "strategy.targets=[query],[qery],[value]"
    small = [*SWEEP[3:], "trainer.max_epochs=1", "strategy=lora"]
    sweep = run("experiments.train", ["-m", targets, *small, *words], may_fail=True)
    states = [job.status for job in read_sweep(sweep.path).runs]
    check.hold(
        "jobs of a sweep, the second raises",
        ", ".join(states),
        "done, failed, done",
        states == ["done", "failed", "done"],
    )
    check.hold("exit status of that sweep", sweep.status, "1", sweep.status == 1)
    table = run("experiments.tabulate", [str(sweep.path)])
    print(table.out)
    named = "failed" in table.out and "qery" in table.out
    check.hold(
        "its table", "names the failure" if named else "does not name the failure", "the failure with its reason", named
    )


if __name__ == "__main__":
    sys.exit(main())
