"""Tell of a sweep in one HTML file: table and tests, figures, settings against results, and every run.

    python -m experiments.report runs/sweeps/NAME.json --reference strategy=full
    python -m experiments.report runs/sweeps/NAME.json --wandb my-team/interestlab

The file loads nothing from anywhere, so it can be sent and kept. With --wandb the same is made as a report of Weights &
Biases, of runs that were sent there. The last line of standard output is the file's path, or the report's address.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from datamodules.storage import atomic_write
from experiments.faults import told
from experiments.figures.learning import draw_learning
from experiments.figures.pareto import draw_pareto
from experiments.figures.slices import draw_slices
from experiments.figures.style import require_drawable
from experiments.figures.wins import draw_wins
from experiments.reports.html import Page, Picture, html
from experiments.reports.lines import lines_of
from experiments.reports.workspace import save_report
from experiments.tables.collect import collect, place_beside
from experiments.tables.report import Content, make_report
from experiments.tables.rows import TableError
from experiments.tabulate import add_options, content_of

COSTS = ("trainable_share", "seconds_per_epoch", "peak_memory_bytes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where there is nothing to tell of."""
    return told(partial(report, _parser().parse_args(arguments)), "report")


def report(options: argparse.Namespace) -> None:
    """Build it, write it, print its path; in W&B, its address."""
    if options.wandb:
        content = content_of(options)
        runs = [run for row in content.rows for run in (*row.done, *row.lost)]
        print(save_report(options.wandb, content, make_report(content), runs, options.monitor))
        return
    require_drawable(Path("figure.svg"))
    path = options.out or place_beside(options.paths[0], ".html")
    atomic_write(path, html(page_of(options)))
    print(path)


def page_of(options: argparse.Namespace) -> Page:
    """Everything that the page shows. Raises `DataError` or `TableError`."""
    content = content_of(options)
    runs = collect(options.paths)
    lines = lines_of(runs, content.keys, content.metrics, COSTS)
    return Page(content.title, make_report(content), tuple(pictures(content, options.monitor)), lines, tuple(runs))


def pictures(content: Content, monitor: str) -> Iterator[Picture]:
    """Figures of the table's last metric, each where the runs have what it shows."""
    rows, metric = content.rows, content.metrics[-1]
    drawn: dict[str, Callable[[Path], None]] = {
        f"{metric} against cost": lambda path: draw_pareto(rows, metric, path),
        f"{monitor} after each epoch": lambda path: draw_learning(rows, monitor, path),
        f"{metric} by history and popularity": lambda path: draw_slices(rows, metric, path),
    }
    reference = content.reference
    if reference is not None and content.paired:
        drawn["who wins and who loses"] = lambda path: draw_wins(rows, reference, metric, path)
    with tempfile.TemporaryDirectory() as folder:
        for says, draw in drawn.items():
            path = Path(folder, "figure.svg")
            try:
                draw(path)
            except TableError as fault:
                print(f"no figure of {says}: {fault}", file=sys.stderr)
                continue
            yield Picture(path.read_bytes(), says)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.report", description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--wandb", metavar="ENTITY/PROJECT", help="make a report of W&B there instead of a file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
