"""Seven recommenders on a simulated world, and one table of them, by the programs that a person would type.

    python -m experiments.demo [OVERRIDE ...]

Three sweeps, with the overrides added to each, then `experiments.tabulate` over their manifests. Finished runs are
reused. The text rows read the
descriptions alone and train on the items of the batch, so that an item without any training event is never a negative;
their vectors are projected to the 64 dimensions that SASRec has. Learning rates were chosen on validation, of 1e-3,
3e-3 and 1e-2 (full: 1e-4, 3e-4, 1e-3).
"""

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.faults import INTERRUPTED
from experiments.runs.lifeline import tied
from experiments.runs.provenance import ROOT

BASELINES = (
    "name=demo-baselines",
    "experiment=oracle,popularity,sasrec",
    "datamodule.users_per_step=16",
    "optimizer.lr=2e-3",
)
TEXT = (
    "experiment=interest_graph",
    'text.pattern="{description}"',
    "candidates=batch",
    "backbone.dim=64",
    "datamodule.users_per_step=250",
    "trainer.max_epochs=3",
)


def rates(rate: str) -> tuple[str, str]:
    """One learning rate for the language model and for what stands behind it."""
    return f"optimizer.lr={rate}", f"language_model_lr={rate}"


SWEEPS = (
    BASELINES,
    ("name=demo-text", *TEXT, "strategy=frozen,lora,pfeiffer", *rates("3e-3")),
    ("name=demo-text-full", *TEXT, "strategy=full", *rates("3e-4")),
)
COLUMNS = ("test/ndcg@10", "test/hr@10", "test/cold/hr@10")
GRACE_SECONDS = 15.0
"""What a program has to end in order after an interrupt: it waits 10 seconds for its own child."""


def main() -> None:
    """Entry point. Exit status of the first program that failed; the last line is the table's path."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser("python -m experiments.demo", description=summary)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="added to each sweep, such as seed=1")
    overrides = parser.parse_args().overrides
    begun = time.perf_counter()
    manifests = [sweep([*words, *overrides]) for words in SWEEPS]
    print(f"all runs: {time.perf_counter() - begun:.0f} s\n", flush=True)
    by = ("--by", "experiment", "strategy", "--reference", "strategy=frozen")
    call("experiments.tabulate", [*map(str, manifests), *by, "--metrics", *COLUMNS])


def sweep(words: Sequence[str]) -> Path:
    """Run a sweep in the demo's world and return its manifest."""
    return Path(call("experiments.train", ["-m", "sweep=demo", *words]))


def call(name: str, words: Sequence[str]) -> str:
    """Show the command, run it with its output passed through, and return its last line."""
    print("$ " + shlex.join(["python", "-m", name, *words]), flush=True)
    last = ""
    command = [sys.executable, "-m", name, *words]
    with subprocess.Popen(command, cwd=ROOT, env=tied(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                print(line, end="", flush=True)
                last = line.strip() or last
        except KeyboardInterrupt:  # the terminal told the child as well, which ends its run and says how to go on
            _let_end(child)
            raise SystemExit(INTERRUPTED) from None
    if child.returncode:
        raise SystemExit(child.returncode)
    print(flush=True)
    return last


def _let_end(child: subprocess.Popen[str]) -> None:
    try:
        print(child.communicate(timeout=GRACE_SECONDS)[0], end="", flush=True)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    main()
