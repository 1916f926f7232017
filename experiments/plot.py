"""Draw a figure of runs: accuracy against cost, or against a setting.

    python -m experiments.plot pareto SWEEP.json --pick rate --out pareto.png
    python -m experiments.plot curve SWEEP.json --x datamodule.few_shot.share --by strategy --out labels.pdf

The last line of standard output is the figure's path.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments.faults import told
from experiments.figures.curve import draw_curve
from experiments.figures.pareto import draw_pareto
from experiments.figures.style import require_drawable
from experiments.runs.read import Run
from experiments.tables.collect import collect
from experiments.tables.comparable import require_comparable, some, without_unmeasured
from experiments.tables.measures import require_metrics
from experiments.tables.picking import pick
from experiments.tables.rows import Row, label_of, make_rows, naming_keys, require_known

KINDS = {"pareto": "accuracy against cost", "curve": "accuracy against a setting, a line for each --by"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where there is nothing to draw."""
    return told(partial(plot, _parser().parse_args(arguments)), "plot")


def plot(options: argparse.Namespace) -> None:
    """Read the runs, draw, print the path. Raises `DataError`, `TableError` or `ValueError`."""
    require_drawable(options.out)
    found = collect(options.paths)
    require_metrics([options.metric], found)
    runs, unmeasured = without_unmeasured(found, [options.metric])
    if unmeasured:
        print(f"left out, finished without {options.metric}: {some(unmeasured)}", file=sys.stderr)
    require_comparable(runs)
    if options.kind == "pareto":
        keys = tuple(options.by) or naming_keys(runs, options.pick)
        require_known((*keys, *options.pick), runs)
        draw_pareto(_rows(runs, keys, options), options.metric, options.out)
    else:
        require_known((*options.by, options.x, *options.pick), runs)
        draw_curve(_lines(runs, options), options.metric, options.x, options.out)
    print(options.out)


def _rows(runs: Sequence[Run], keys: tuple[str, ...], options: argparse.Namespace) -> list[Row]:
    """The rows of a table of the same options."""
    if not options.pick:
        return make_rows(runs, keys)
    return make_rows(pick(runs, keys, options.pick, options.monitor).runs, (*keys, *options.pick))


def _lines(runs: Sequence[Run], options: argparse.Namespace) -> dict[str, list[Row]]:
    """Rows by the values of --by."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(", ".join(label_of(run, options.by)), []).append(run)
    return {name: _rows(members, (*options.by, options.x), options) for name, members in groups.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.plot", description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, text in KINDS.items():
        add = kinds.add_parser(name, help=text, description=text).add_argument
        add(
            "paths",
            nargs="+",
            type=Path,
            metavar="PATH",
            help="a sweep's manifest, a folder of runs, or a run's folder",
        )
        add("--metric", default="test/ndcg@10", metavar="NAME", help="default: test/ndcg@10")
        add("--pick", nargs="+", default=[], metavar="KEY", help="of a row's trials keep the best, such as rate")
        add("--monitor", default="valid/ndcg@10", metavar="NAME", help="what --pick chooses by")
        add("--by", nargs="+", default=[], required=name == "curve", metavar="KEY", help="settings that name a row")
        add("--out", type=Path, required=True, metavar="FILE", help="ends in .png, .pdf or .svg")
        if name == "curve":
            add("--x", required=True, metavar="KEY", help="a setting with numbers, or a cost")
    return parser


if __name__ == "__main__":
    sys.exit(main())
