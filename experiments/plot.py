"""Draw a figure of runs: accuracy against cost or settings, over epochs, slices and users.

    python -m experiments.plot pareto SWEEP.json --pick rate --out pareto.png
    python -m experiments.plot curve SWEEP.json --x datamodule.few_shot.share --by strategy --out labels.pdf

The last line of standard output is the figure's path.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.faults import told
from experiments.figures.curve import draw_curve
from experiments.figures.heat import draw_heat
from experiments.figures.learning import draw_learning
from experiments.figures.pareto import draw_pareto
from experiments.figures.slices import draw_slices
from experiments.figures.style import require_drawable
from experiments.figures.wins import draw_wins
from experiments.runs.read import Run
from experiments.tables.collect import collect
from experiments.tables.comparable import find_row, require_comparable, some, without_unmeasured
from experiments.tables.measures import asked_by_labels, require_metrics
from experiments.tables.picking import pick
from experiments.tables.rows import Row, TableError, label_of, make_rows, naming_keys, require_known


@dataclass(frozen=True)
class Kind:
    """A figure: what it shows, and how it is drawn from comparable runs."""

    shows: str
    draw: Callable[[Sequence[Run], argparse.Namespace], None]


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
    if asked_by_labels([run for run in runs if run.status == "done"], options.metric):
        raise TableError(f"these runs have different labels, so {options.metric} is of other queries in each")
    KINDS[options.kind].draw(runs, options)
    print(options.out)


def _pareto(runs: Sequence[Run], options: argparse.Namespace) -> None:
    draw_pareto(_named(runs, options), options.metric, options.out)


def _curve(runs: Sequence[Run], options: argparse.Namespace) -> None:
    is_cost = any(options.x in run.cost for run in runs)
    require_known((*options.by, *(() if is_cost else (options.x,)), *options.pick), runs)
    keys = (*options.by, *(naming_keys(runs, options.pick) if is_cost else (options.x,)))
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(", ".join(label_of(run, options.by)), []).append(run)
    lines = {name: _rows(members, keys, options) for name, members in groups.items()}
    draw_curve(lines, options.metric, options.x, options.out)


def _learning(runs: Sequence[Run], options: argparse.Namespace) -> None:
    draw_learning(_named(runs, options), options.metric, options.out)


def _slices(runs: Sequence[Run], options: argparse.Namespace) -> None:
    draw_slices(_named(runs, options), options.metric, options.out)


def _wins(runs: Sequence[Run], options: argparse.Namespace) -> None:
    rows = _named(runs, options)
    keys = (*(options.by or naming_keys(runs, options.pick)), *options.pick)
    draw_wins(rows, find_row(options.reference, rows, keys), options.metric, options.out)


def _heat(runs: Sequence[Run], options: argparse.Namespace) -> None:
    require_known((options.y, options.x, *options.pick), runs)
    rows = [Row(row.label[:2], row.done, row.lost) for row in _rows(runs, (options.y, options.x), options)]
    draw_heat(rows, options.x, options.y, options.metric, options.out)


def _named(runs: Sequence[Run], options: argparse.Namespace) -> list[Row]:
    """The rows of a table of the same options."""
    keys = tuple(options.by) or naming_keys(runs, options.pick)
    require_known((*keys, *options.pick), runs)
    return _rows(runs, keys, options)


def _rows(runs: Sequence[Run], keys: tuple[str, ...], options: argparse.Namespace) -> list[Row]:
    if not options.pick:
        return make_rows(runs, keys)
    return make_rows(pick(runs, keys, options.pick, options.monitor).runs, (*keys, *options.pick))


KINDS = {
    "pareto": Kind("accuracy against cost, with those that nothing beats at their price", _pareto),
    "curve": Kind("accuracy against a setting, a line for each --by", _curve),
    "learning": Kind("validation after each epoch", _learning),
    "slices": Kind("accuracy by length of the history and by popularity of the answer", _slices),
    "wins": Kind("users for whom a row is better or worse than --reference", _wins),
    "heat": Kind("accuracy against two settings", _heat),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.plot", description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, kind in KINDS.items():
        add = kinds.add_parser(name, help=kind.shows, description=kind.shows).add_argument
        add(
            "paths",
            nargs="+",
            type=Path,
            metavar="PATH",
            help="a sweep's manifest, a folder of runs, or a run's folder",
        )
        metric = "valid/ndcg@10" if name == "learning" else "test/ndcg@10"
        add("--metric", default=metric, metavar="NAME", help=f"default: {metric}")
        add("--pick", nargs="+", default=[], metavar="KEY", help="of a row's trials keep the best, such as rate")
        add("--monitor", default="valid/ndcg@10", metavar="NAME", help="what --pick chooses by")
        add("--by", nargs="+", default=[], required=name == "curve", metavar="KEY", help="settings that name a row")
        add("--out", type=Path, required=True, metavar="FILE", help="ends in .png, .pdf or .svg")
        if name in ("curve", "heat"):
            what = "a setting" if name == "heat" else "a setting with numbers, or a cost such as seconds_per_epoch"
            add("--x", required=True, metavar="KEY", help=what)
        if name == "heat":
            add("--y", required=True, metavar="KEY", help="another setting")
        if name == "wins":
            add("--reference", required=True, metavar="ROW", help="VALUE,... or KEY=VALUE,...")
    return parser


if __name__ == "__main__":
    sys.exit(main())
