"""Explain recommendations: the interests, their weights over time, the graph, and what each interest gave to each item.

    python -m experiments.explain RUN_DIR --user 42
    python -m experiments.explain RUN_DIR --titles "Toy Story" "Heat" --figure why.png --json why.json

The parts of an item, one for each interest and its prior, add up to its score; the program checks that to 1e-5. Prints
tables; the paths of the files that it made are the last lines of standard output.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from datamodules.storage import atomic_write
from experiments.asking.arguments import add_question, questions_of
from experiments.faults import told
from experiments.tables.console import show


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where the input is at fault."""
    parser = argparse.ArgumentParser("python -m experiments.explain", description=(__doc__ or "").splitlines()[0])
    add_question(parser, several=False)
    parser.add_argument("-k", type=int, default=5, metavar="N", help="how many items to explain (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, all interests and edges")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw into FILE.png, .pdf or .svg")
    return told(partial(explain, parser.parse_args(arguments)), "explain")


def explain(options: argparse.Namespace) -> None:
    """Load the run, ask, and show why. Raises `ValueError` for input that cannot be used."""
    from experiments.explaining.console import tables
    from experiments.explaining.figure import require_drawable, save_figure
    from experiments.loading import load

    if options.figure:
        require_drawable(options.figure)
    run = load(options.run, options.checkpoint)
    answers = run.answers(questions_of(options, run), options.k, options.repeat)
    if len(answers) > 1:
        raise ValueError(f"{options.history} holds {len(answers)} histories; explain takes one")
    record = run.record(answers[0])
    show(tables(record), Console(width=None if sys.stdout.isatty() else 140))
    if options.json:
        atomic_write(options.json, json.dumps(record.to_json(), indent=1, ensure_ascii=False) + "\n")
        print(options.json)
    if options.figure:
        save_figure(record, options.figure)
        print(options.figure)


if __name__ == "__main__":
    sys.exit(main())
