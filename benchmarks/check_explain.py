"""Contributions add up to the score for many users of a trained run, and the figure is drawn.

    python -m benchmarks.check_explain [RUN] [--users 100]

Without RUN it is the run of `check-beauty`, made first where this source has not made it. The score that is held
against the sum comes from evaluation's ranking, another path through the code than the explanation.
"""

import argparse
import random
import sys
from pathlib import Path

from benchmarks import check_beauty
from benchmarks.checking import Check, data_dir, run, train
from experiments.explaining.record import Record
from experiments.loading import LoadedRun, load

TOLERANCE = 1e-5
SEED = 0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.check_explain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN")
    parser.add_argument("--users", type=int, default=100)
    options = parser.parse_args()
    check = Check("Is the explanation the score itself?")
    folder = options.run or beauty_run()
    loaded = load(folder)
    users = random.Random(SEED).sample(list(loaded.data.prepared.users), options.users)
    sums(check, loaded, users)
    figure(check, folder, users[0])
    return check.close()


def beauty_run() -> Path:
    """Folder of the trained Beauty run."""
    data_dir()
    made = train(*check_beauty.words(check_beauty.EPOCHS))
    assert made.folder is not None
    return made.folder


def sums(check: Check, loaded: LoadedRun, users: list[str]) -> None:
    """Largest gap between a recommended item's score and the sum of its prior and contributions."""
    records = [loaded.explain(user, k=10) for user in users]
    gaps = [gap for record in records for gap in gaps_of(record)]
    found = f"{max(gaps):.2g} over {len(gaps)} items of {len(users)} users"
    check.hold("largest gap between score and contributions", found, f"<= {TOLERANCE}", max(gaps) <= TOLERANCE)
    recommended = {user: [one.item for one in loaded.recommend(user, k=10)] for user in users[:10]}
    equal = all([reason.item for reason in record.reasons] == recommended[record.user] for record in records[:10])
    check.hold("explained items", "those recommended" if equal else "others", "those recommended", equal)
    weights = max(abs(sum(interest.weight for interest in record.interests) - 1) for record in records)
    check.hold("weights of a user's interests miss 1 by", f"{weights:.2g}", f"<= {TOLERANCE}", weights <= TOLERANCE)


def gaps_of(record: Record) -> list[float]:
    """Of each recommended item."""
    return [abs(reason.prior + sum(reason.contributions) - reason.score) for reason in record.reasons]


def figure(check: Check, folder: Path, user: str) -> None:
    """By the program, as a person would have it."""
    path = folder / "explanation.png"
    finished = run("experiments.explain", [str(folder), "--user", user, "--figure", str(path)])
    print(finished.out)
    drawn = path.is_file() and path.read_bytes().startswith(b"\x89PNG")
    check.hold("figure", f"{path}, {path.stat().st_size:,} bytes" if drawn else "none", "a picture", drawn)


if __name__ == "__main__":
    sys.exit(main())
