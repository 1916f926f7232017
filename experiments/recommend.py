"""Recommend items to users of a run's corpus, or to somebody new whose history you type.

    python -m experiments.recommend RUN_DIR --user 42
    python -m experiments.recommend RUN_DIR --titles "Toy Story" "Heat" -k 5
    python -m experiments.recommend RUN_DIR --history mine.tsv --out lists.json

Prints a table, or JSON with --json. With --out the JSON goes into a file, whose path is the last line of standard
output. With --approximate only items near the user's interests are ranked, which pays from hundreds of thousands of
items on; what share of the exact lists that finds, for a sample of users, is said on standard error.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from datamodules.storage import atomic_write
from experiments.asking.arguments import add_question, questions_of
from experiments.faults import told
from experiments.tables.console import show
from experiments.tables.grid import Cell, Grid, Report

if TYPE_CHECKING:  # importing it takes seconds, and --help needs none of it
    from experiments.asking.answers import Answer
    from lightning_modules.retrieval import Recall


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where the input is at fault."""
    parser = argparse.ArgumentParser("python -m experiments.recommend", description=(__doc__ or "").splitlines()[0])
    add_question(parser, several=True)
    parser.add_argument("-k", type=int, default=10, metavar="N", help="length of a list (default: 10)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there")
    parser.add_argument("--approximate", action="store_true", help="rank only what is near, and say what that misses")
    return told(partial(recommend, parser.parse_args(arguments)), "recommend")


def recommend(options: argparse.Namespace) -> None:
    """Load the run, ask, and print. Raises `ValueError` for input that cannot be used."""
    from experiments.loading import load

    run = load(options.run, options.checkpoint)
    answers = run.answers(questions_of(options, run), options.k, options.repeat, options.approximate)
    record = {"run": run.folder.name, "corpus": run.data.prepared.name, "users": [_record(one) for one in answers]}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    if options.json:
        print(text)
    else:
        show(Report(tuple(map(_grid, answers)), (), ()), Console(width=None if sys.stdout.isatty() else 120))
    if options.out:
        atomic_write(options.out, text + "\n")
        print(options.out)
    if options.approximate:
        print(_said(run.recall(options.k, options.repeat)), file=sys.stderr)


def _record(answered: "Answer") -> dict[str, Any]:
    recommended = [asdict(one) for one in answered.recommended]
    return {"user": answered.user, "unknown": list(answered.unknown), "recommended": recommended}


def _said(found: "Recall") -> str:
    low, high = found.interval
    return (
        f"approximate lists hold {found.mean:.1%} of the exact ones (recall@{found.k} of {found.users} users of the "
        f"corpus, 95% interval {low:.1%} to {high:.1%})"
    )


def _grid(answered: "Answer") -> Grid:
    rows = [(str(one.place), one.title, one.item, f"{one.score:.4f}") for one in answered.recommended]
    cells = tuple(tuple(map(Cell, row)) for row in rows)
    return Grid(f"For {answered.user}", ("", "title", "item", "score"), cells, names=3)


if __name__ == "__main__":
    sys.exit(main())
