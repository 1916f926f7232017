"""Make a table of runs: accuracy with intervals and paired tests, and what it cost.

    python -m experiments.tabulate runs/sweeps/strategies.json --format latex --reference strategy=full

The table is printed, and written to a file whose path is the last line of standard output.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from datamodules.storage import atomic_write
from experiments.faults import told
from experiments.runs.provenance import source_digest
from experiments.tables.collect import collect, place_beside
from experiments.tables.comparable import are_comparable, find_row, require_comparable, without_unmeasured
from experiments.tables.console import show
from experiments.tables.costs import USUAL, require_costs
from experiments.tables.csv_form import csv_text
from experiments.tables.grid import Report
from experiments.tables.html_form import html_text
from experiments.tables.latex import latex
from experiments.tables.markdown import markdown
from experiments.tables.measures import require_metrics
from experiments.tables.picking import Trials, pick
from experiments.tables.published import load, names
from experiments.tables.quoted import require_alike, require_measured
from experiments.tables.report import Content, make_report
from experiments.tables.rows import Label, make_rows, naming_keys, require_known

WIDTH_OF_A_FILE = 200
"""Columns where output goes to no terminal and so has no width of its own; rich would take 80."""

METRICS = ("test/hr@10", "test/ndcg@10")
MONITOR = "valid/ndcg@10"


@dataclass(frozen=True)
class Form:
    """How a report is written, and what a file of it is called."""

    suffix: str
    write: Callable[[Report], str]


CONSOLE = "console"
FORMS = {
    CONSOLE: Form(".md", markdown),
    "markdown": Form(".md", markdown),
    "latex": Form(".tex", latex),
    "csv": Form(".csv", csv_text),
    "html": Form(".table.html", html_text),  # NAME.html is what experiments.report writes
}
DRAWN = (CONSOLE, "html")
"""Forms that are shown as a terminal draws tables, since nobody reads their own text."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where there is nothing to make a table of."""
    return told(partial(print_table, _parser().parse_args(arguments)), "tabulate")


def print_table(options: argparse.Namespace) -> None:
    """Print the report and write it; the file's path is printed last."""
    report = tabulate(options)
    form = FORMS[options.format]
    path = options.out or place_beside(options.paths[0], form.suffix)
    if options.format in DRAWN:
        show(report, Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE))
    else:
        print(form.write(report))
    atomic_write(path, form.write(report))
    print(path)


def tabulate(options: argparse.Namespace) -> Report:
    """The report that the options ask for. Raises `DataError` or `TableError`."""
    return make_report(content_of(options))


def content_of(options: argparse.Namespace) -> Content:
    """What the report shows, for programs that show it in another way. Raises `DataError` or `TableError`."""
    published = load(options.published)
    require_measured(published, options.metrics)
    found = collect(options.paths)
    require_metrics(options.metrics, found)
    require_costs(options.costs)
    runs, unmeasured = without_unmeasured(found, options.metrics)
    if not options.mixed:
        require_comparable(runs)
        require_alike(published, runs)
    keys = tuple(options.by) or naming_keys(runs, options.pick)
    require_known((*keys, *options.pick), runs)
    trials: Mapping[Label, Trials] = {}
    if options.pick:
        picked = pick(runs, keys, options.pick, options.monitor)
        runs, trials, keys = list(picked.runs), picked.trials, (*keys, *options.pick)
    rows = make_rows(runs, keys)
    return Content(
        title=options.title or _title(options.paths),
        keys=keys,
        rows=tuple(rows),
        metrics=tuple(options.metrics),
        reference=find_row(options.reference, rows, keys) if options.reference else None,
        paired=are_comparable(runs),
        source=source_digest(),
        trials=trials,
        monitor=options.monitor,
        unmeasured=tuple(unmeasured),
        costs=tuple(options.costs),
        published=published,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.tabulate", description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--format", choices=tuple(FORMS), default=CONSOLE, help="console also writes Markdown")
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which runs, in which rows, measured and compared how: of every program that shows a table."""
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="a sweep's manifest, a folder of runs, or a run's folder")
    add(
        "--by", nargs="+", default=[], metavar="KEY", help="settings that name a row (default: in what the runs differ)"
    )
    add("--metrics", nargs="+", default=list(METRICS), metavar="NAME", help=f"columns (default: {' '.join(METRICS)})")
    add(
        "--pick",
        nargs="+",
        default=[],
        metavar="KEY",
        help="of a row's trials of these settings keep the best, such as rate",
    )
    add(
        "--monitor", default=MONITOR, metavar="NAME", help=f"what --pick chooses by, of validation (default: {MONITOR})"
    )
    add("--costs", nargs="*", default=list(USUAL), metavar="NAME", help=f"default: {' '.join(USUAL)}")
    papers = f"quote what papers report on the same below ours: {', '.join(names())}"
    add("--published", nargs="+", default=[], metavar="NAME", help=papers)
    add("--reference", metavar="ROW", help="also test every row against this one: VALUE,... or KEY=VALUE,...")
    add("--title", metavar="WORDS", help="default: the names of the first three PATHs")
    add("--out", type=Path, metavar="FILE", help="default: beside the first PATH")
    add("--mixed", action="store_true", help="allow runs of different data or protocols in one table, untested")


def _title(paths: Sequence[Path]) -> str:
    return ", ".join(path.stem if path.is_file() else path.resolve().name for path in paths[:3])


if __name__ == "__main__":
    sys.exit(main())
