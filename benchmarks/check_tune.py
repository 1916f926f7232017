"""A search that is killed at random moments and started again, against one left alone: trials spent, and the best.

    python -m benchmarks.check_tune [--trials 8] [--kills 2]

With one worker the search draws the same settings whether it was killed or not, so the best must be the same setting
with the same number. Kills take parent and children. All runs lie in a temporary folder.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import optuna

from benchmarks.check_resume import start_and_kill
from benchmarks.checking import Check, run

WORDS = (
    "backbone=bert_tiny",
    "strategy=lora",
    "datamodule.source.users=60",
    "datamodule.source.items=60",
    "datamodule.users_per_step=10",
    "trainer.max_epochs=2",
    "logger=none",
    "learning_rate=tag(log,interval(1e-3,1e-1))",
    "interest.steps=range(0,3)",
    "head.temperature=choice(0.05,0.1,0.2)",
)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.check_tune", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    check = Check("Does a search that is killed end with the asked trials and the same best?")
    with tempfile.TemporaryDirectory() as folder:
        how = ["--trials", str(options.trials), "--workers", "1", "--name", "search", "--prune"]
        words = [*WORDS, f"cache_dir={folder}/cache", *how]
        alone_words, killed_words = (
            [*words, "--runs-dir", f"{folder}/{one}", "--out", f"{folder}/{one}-yaml"] for one in ("alone", "killed")
        )
        alone = run("experiments.tune", alone_words)
        chance = random.SystemRandom()
        for number in range(1, options.kills + 1):
            after = chance.uniform(0.1, 0.6) * alone.seconds
            left = start_and_kill(killed_words, after, whole_group=True, name="experiments.tune")
            found = "it had ended before" if left is None else f"left running: {left or 'nothing'}"
            check.hold(f"SIGKILL {number} to parent and children after {after:.0f} s", found, "nothing", left == [])
        print(run("experiments.tune", killed_words).out)
        compare(check, Path(folder, "alone"), Path(folder, "killed"), options.trials)
    return check.close()


def compare(check: Check, alone: Path, killed: Path, trials: int) -> None:
    """Two studies: how many trials each spent, and the best of each."""
    (left, left_best), (right, right_best) = (studied(folder) for folder in (alone, killed))
    check.hold(
        "trials spent, killed and alone",
        f"{len(right)} and {len(left)}",
        f"{trials} and {trials}",
        len(right) == len(left) == trials,
    )
    check.hold("settings drawn", len(right), "equal, one by one", left == right)
    check.hold("the best", right_best, f"{left_best}", left_best == right_best)


def studied(runs_dir: Path) -> tuple[list[dict[str, Any]], tuple[float | None, dict[str, Any]]]:
    """Settings of all trials that count, in the order of their numbers, and the best with its value."""
    (database,) = runs_dir.glob("studies/*/study.db")
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{database}")
    spent = [trial for trial in study.get_trials() if trial.state.is_finished() and "run" in trial.user_attrs]
    return [trial.params for trial in spent], (study.best_value, study.best_params)


if __name__ == "__main__":
    sys.exit(main())
