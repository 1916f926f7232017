"""What continuous integration runs, in a fresh clone of the last commit, with and without real data.

    python -m benchmarks.check_ci

`.ci/run` looks for real data beside the clone; a link puts them there in the first round, and in the second round
nothing does.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.checking import TAIL, Check, data_dir
from experiments.runs.provenance import ROOT

MINUTES = 8
SUMMARY = r"\d+ (?:passed|failed|error).* in ([\d.]+)s"
"""The line with which pytest ends; the suite's is the last one that `make test` prints."""


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.check_ci", description=(__doc__ or "").splitlines()[0])
    parser.parse_args()
    data = data_dir().resolve()
    check = Check("Does a fresh clone pass what continuous integration runs?")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        beside = Path(folder, "shared")
        beside.mkdir()
        (beside / "data").symlink_to(data)
        with_data = ci(check, clone, "with real data")
        (beside / "data").unlink()
        without = ci(check, clone, "without real data")
        check.hold(
            "tests in all",
            [sum(with_data.values()), sum(without.values())],
            "equally many",
            sum(with_data.values()) == sum(without.values()),
        )
        more = without["skipped"] > with_data["skipped"]
        check.hold("skipped", [with_data["skipped"], without["skipped"]], "more without data", more)
    return check.close()


def ci(check: Check, clone: Path, how: str) -> dict[str, int]:
    """Run `.ci/run` and read pytest's last line. The first round installs, which its time holds."""
    print(f"$ .ci/run   # in a fresh clone, {how}", flush=True)
    env = {name: value for name, value in os.environ.items() if name not in ("INTERESTLAB_DATA", "VIRTUAL_ENV")}
    begun = time.perf_counter()
    done = subprocess.run([".ci/run"], cwd=clone, env=env, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    summary = next((line for line in reversed(done.stdout.splitlines()) if re.search(SUMMARY, line)), "")
    counts = {name: counted(summary, name) for name in ("passed", "skipped", "failed")}
    reasons = sorted(set(re.findall(r"^SKIPPED \[\d+\] .*?: (.*)$", done.stdout, re.MULTILINE)))
    if done.returncode:
        print("\n".join((done.stdout + done.stderr).splitlines()[-TAIL:]))
    print(*(f"  skipped because: {reason}" for reason in reasons), sep="\n")
    check.hold(
        f".ci/run {how}", f"exit status {done.returncode}, {counts}, {seconds / 60:.1f} min", "0", done.returncode == 0
    )
    found = re.search(SUMMARY, summary)
    suite = float(found[1]) if found else 0.0
    check.hold(f"the suite {how}", f"{suite / 60:.1f} min", f"<= {MINUTES} min", 0 < suite <= 60 * MINUTES)
    return counts


def counted(summary: str, word: str) -> int:
    """The number before the word in pytest's last line; 0 where it is not there."""
    found = re.search(rf"(\d+) {word}", summary)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    sys.exit(main())
