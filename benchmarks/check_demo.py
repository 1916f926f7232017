"""`make demo` in a fresh clone: how long it takes, and what its table shows.

    python -m benchmarks.check_demo

Clones the last commit into a temporary folder. Everything else is made there anew: environment, data and runs.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.checking import TAIL, Check, values
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_run
from lightning_modules.intervals import paired_interval

MINUTES = 6
ROWS = ("oracle", "popularity", "sasrec", "frozen", "lora", "pfeiffer", "full")
TEXT = ROWS[3:]
METRIC = "ndcg@10"


def main() -> int:
    """Entry point."""
    check = Check("Does a fresh clone show seven recommenders within six minutes, and do they rank as they must?")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        seconds = make_demo(check, clone)
        check.hold("make demo", f"{seconds / 60:.1f} min", f"<= {MINUTES} min", seconds <= 60 * MINUTES)
        compare(check, rows_of(clone / "runs"))
    return check.close()


def make_demo(check: Check, clone: Path) -> float:
    """Run it without real data and without this environment; show the table. Returns its seconds."""
    print("$ make demo   # in a fresh clone\n", flush=True)
    env = {name: value for name, value in os.environ.items() if name not in ("INTERESTLAB_DATA", "VIRTUAL_ENV")}
    begun = time.perf_counter()
    done = subprocess.run(["make", "demo"], cwd=clone, env=env, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    shown = done.stdout[done.stdout.find("$ python -m experiments.tabulate") :] if not done.returncode else ""
    print(shown or "\n".join((done.stdout + done.stderr).splitlines()[-TAIL:]), flush=True)
    check.hold("exit status", done.returncode, "0", done.returncode == 0)
    return seconds


def rows_of(runs_dir: Path) -> dict[str, Run]:
    """The demo's runs by the name of their row."""
    runs = [read_run(path.parent) for path in sorted(runs_dir.glob("*/result.json"))]
    return {name_of(run): run for run in runs}


def name_of(run: Run) -> str:
    """The experiment, or the strategy where a language model reads."""
    words = run.settings()
    return words["experiment"] if words["experiment"] != "interest_graph" else words["strategy"]


def compare(check: Check, rows: dict[str, Run]) -> None:
    """Paired over users, 95% intervals."""
    check.hold("rows", ", ".join(rows), ", ".join(ROWS), set(rows) == set(ROWS))
    if set(rows) != set(ROWS):
        return
    for name in ROWS[1:]:
        against(check, rows, name, "oracle", above=False)
    for name in ROWS[2:]:
        against(check, rows, name, "popularity", above=True)
    for name in TEXT:
        against(check, rows, name, "sasrec", above=True, cold=True)


def against(check: Check, rows: dict[str, Run], name: str, other: str, above: bool, cold: bool = False) -> None:
    """Whether the difference is clearly positive (`above`), or at least not clearly so."""
    ours, theirs = (values(rows[row], METRIC, cold) for row in (name, other))
    low, high = paired_interval(ours, theirs)
    where = f"{METRIC} on {'cold items' if cold else 'all items'}, {len(ours)} users"
    asked, reached = ("interval above 0", low > 0) if above else ("interval not above 0", low <= 0)
    check.hold(
        f"{name} minus {other}, {where}", f"{np.mean(ours - theirs):+.4f} [{low:+.4f}, {high:+.4f}]", asked, reached
    )


if __name__ == "__main__":
    sys.exit(main())
