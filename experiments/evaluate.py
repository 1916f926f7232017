"""Rank a split of a run's data with one of its checkpoints: means, 95% intervals, and the value of every query.

    python -m experiments.evaluate RUN_DIR --split test

Every query is ranked by the code, the protocol and the precision of training, so that the best checkpoint gives the
numbers of result.json anew. The last line of standard output is the path of what was written.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from experiments.faults import told
from experiments.tables.console import show
from experiments.tables.grid import Cell, Grid, Report
from experiments.units import accuracy

if TYPE_CHECKING:  # importing it takes seconds, and --help needs none of it
    from experiments.loading import LoadedRun

SPLITS = ("valid", "test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where the input is at fault."""
    parser = argparse.ArgumentParser("python -m experiments.evaluate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the folder of a run")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="default: RUN_DIR/best.ckpt")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="JSON of means and intervals; the values of the queries lie beside it as FILE's name with .parquet "
        "(default: RUN_DIR/queries-SPLIT.json, and queries-SPLIT-CHECKPOINT.json for another than the best)",
    )
    return told(partial(evaluate, parser.parse_args(arguments)), "evaluate")


def evaluate(options: argparse.Namespace) -> None:
    """Load, rank, write and print. Raises `ValueError` for input that cannot be used."""
    from experiments.loading import load
    from experiments.ranking import describe_ranking, rank_split, write_ranking

    run = load(options.run, options.checkpoint)
    table = rank_split(run, options.split)
    out = options.out or _place(run, options)
    full, record = describe_ranking(run, options.split, table)
    show(Report((_grid(run, options.split, record),), (), ()), Console(width=None if sys.stdout.isatty() else 120))
    write_ranking(full, record, out)
    print(out)


def _place(run: "LoadedRun", options: argparse.Namespace) -> Path:
    """The queries of another checkpoint must not pass for those of the best one."""
    best = options.checkpoint is None or options.checkpoint.resolve() == (run.folder / "best.ckpt").resolve()
    return run.folder / f"queries-{options.split}{'' if best else '-' + options.checkpoint.stem}.json"


def _grid(run: "LoadedRun", split: str, record: dict[str, Any]) -> Grid:
    """One row for each metric, for all queries and for those whose answer was never trained on."""
    rows = []
    for key, (low, high) in record["intervals"].items():
        name = key.removeprefix(f"{split}/").replace("cold/", "cold items: ")
        rows.append((name, accuracy(record["metrics"][key]), f"[{accuracy(low)}, {accuracy(high)}]"))
    title = f"{run.folder.name}, {split}: {record['queries']:,} queries"
    return Grid(title, ("metric", "mean", "95% interval"), tuple(tuple(map(Cell, row)) for row in rows), names=1)


if __name__ == "__main__":
    sys.exit(main())
