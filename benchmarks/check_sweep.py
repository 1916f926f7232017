"""A sweep of 24 jobs, two at a time, killed twice and started again; jobs that fail; two sweeps over one grid at once.

    python -m benchmarks.check_sweep

The table of the killed sweep must be the table of one left alone, to the last digit. Kills take parent and children, at
moments drawn anew each time. All runs lie in a temporary folder.
"""

import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.check_resume import compare, start_and_kill
from benchmarks.checking import Check, program, run
from experiments.runs.lifeline import tied
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_sweep

SMALL = (
    "backbone=bert_tiny",
    "datamodule.source.users=60",
    "datamodule.source.items=60",
    "datamodule.users_per_step=10",
    "trainer.max_epochs=2",
    "logger=none",
)
GRID = ("strategy=frozen,lora,pfeiffer,full", "head=graph,dot", "seed=0,1,2")
TWO_AT_A_TIME = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
JOBS, KILLS = 24, 2
LIMIT_BYTES = 6 * 2**30
"""Of address space, for the sweep in which one job wants more."""

TOO_WIDE = 40_000_000
"""Numbers of each of 60 item vectors: 9 GiB before the first gradient."""


def main() -> int:
    """Entry point."""
    check = Check("Does a sweep end with the same table, whatever happens to it?")
    with tempfile.TemporaryDirectory() as folder:
        shared = [*SMALL, f"cache_dir={folder}/cache"]
        words = ["-m", *GRID, *TWO_AT_A_TIME, *shared]
        alone = run("experiments.train", [*words, f"runs_dir={folder}/alone"])
        killed = killed_twice(check, [*words, f"runs_dir={folder}/killed"], alone.seconds)
        compare(check, runs_of(alone.path), runs_of(killed))
        same_table(check, alone.path, killed)
        failing(check, [*shared, f"runs_dir={folder}/failing"])
        side_by_side(check, [*shared, f"runs_dir={folder}/both"])
    return check.close()


def runs_of(manifest: Path) -> list[Run]:
    """Of a sweep."""
    return list(read_sweep(manifest).runs)


def killed_twice(check: Check, words: Sequence[str], seconds: float) -> Path:
    """Its manifest after two kills and a third start."""
    chance = random.SystemRandom()
    for number in range(1, KILLS + 1):
        after = chance.uniform(0.1, 0.6) * seconds
        left = start_and_kill(words, after, whole_group=True)
        found = "it had ended before" if left is None else f"left running: {left or 'nothing'}"
        check.hold(f"SIGKILL {number} to parent and children after {after:.0f} s", found, "nothing", left == [])
    return run("experiments.train", words).path


def same_table(check: Check, alone: Path, killed: Path) -> None:
    """What `tabulate` makes of both."""
    how = ["--by", "strategy", "head", "--reference", "full,graph", "--title", "24 jobs", "--costs", "trainable"]
    tables = []
    for manifest in (alone, killed):
        made = run("experiments.tabulate", [str(manifest), *how, "--format", "csv"])
        tables.append(made.path.read_text(encoding="utf-8"))
    check.hold("its table", f"{len(tables[1].splitlines())} lines", "equal in every character", tables[0] == tables[1])
    check.hold("jobs", len(runs_of(killed)), str(JOBS), len(runs_of(killed)) == JOBS)


def failing(check: Check, words: Sequence[str]) -> None:
    """Of four jobs one raises and one finds no memory."""
    raises = ["-m", "strategy=lora", "strategy.targets=[query],[qery]", *words, "name=raises"]
    wide = ["-m", "experiment=sasrec", f"backbone.dim=16,{TOO_WIDE}", *words, "~backbone.path", "name=wide"]
    wide = [word for word in wide if word not in ("backbone=bert_tiny", "~backbone.path")]
    manifests = [limited(some) for some in (raises, wide)]
    states = [job.status for manifest in manifests for job in runs_of(manifest)]
    check.hold(
        "jobs of which the second raises and the fourth finds no memory",
        ", ".join(states),
        "done, failed, done, failed",
        states == ["done", "failed", "done", "failed"],
    )
    table = run("experiments.tabulate", [*map(str, manifests), "--mixed"]).out
    print(table)
    reasons = [job.reason for manifest in manifests for job in runs_of(manifest) if job.status == "failed"]
    check.hold("reasons", "; ".join(reasons), "both in the table", all(one[:40] in flat(table) for one in reasons))


def flat(text: str) -> str:
    """Without line breaks."""
    return " ".join(text.split())


def limited(words: Sequence[str]) -> Path:
    """The manifest of a sweep whose processes may have `LIMIT_BYTES` of address space each."""
    done = subprocess.run(
        program("experiments.train", words),
        cwd=ROOT,
        env=tied(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES)),
    )
    return Path(done.stdout.strip().splitlines()[-1])


def side_by_side(check: Check, words: Sequence[str]) -> None:
    """Two sweeps of which each wants two of the other's jobs."""
    grids = (("seed=0,1,2", "name=left"), ("seed=1,2,3", "name=right"))
    sweeps = [
        subprocess.Popen(
            program("experiments.train", ["-m", "strategy=lora", *grid, *words]),
            cwd=ROOT,
            env=tied(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for grid in grids
    ]
    printed = [sweep.communicate()[0] for sweep in sweeps]
    started = Counter(line.split(":")[0] for out in printed for line in out.splitlines() if ": running" in line)
    check.hold(
        "starts of each job of two overlapping sweeps",
        f"{len(started)} jobs, {sum(started.values())} starts",
        "4 and 4",
        len(started) == 4 and set(started.values()) == {1},
    )
    states = [job.status for out in printed for job in runs_of(Path(out.strip().splitlines()[-1]))]
    check.hold("their jobs", ", ".join(states), "6 times done", states == ["done"] * 6)


if __name__ == "__main__":
    sys.exit(main())
