"""Make a table of the project again, in one command: runs, seeds, table, figures, and each cell against what it was.

    python -m experiments.reproduce                              which tables there are, and what they take
    python -m experiments.reproduce table=heads_beauty           the whole table
    python -m experiments.reproduce table=heads_beauty scale=smoke
    python -m experiments.reproduce table=heads_beauty dry_run=true      what would run, sweep by sweep

Other words go to every run, such as runs_dir=/large/disk/runs. Runs that are finished are not made again, so the same
command goes on where it was. Every cell of accuracy, trained parameters, checkpoint and FLOPs is OK or FAIL against
docs/results/TABLE/expected-SCALE.json, while times and memory are the machine's; exit status 1 where one fails. The
last line of standard output is the folder of what was made.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from datamodules.storage import atomic_write
from experiments import plot
from experiments.config.compose import FOLDERS
from experiments.config.hardware import cores
from experiments.faults import told
from experiments.reproduction import expectation
from experiments.reproduction.evidence import keep_evidence
from experiments.reproduction.expectation import Cell
from experiments.reproduction.runs import ProgramError, foretell, make_runs, runs_of
from experiments.reproduction.spec import SCALES, TableSpec, names, read_spec
from experiments.runs.lifeline import tie_to_parent
from experiments.runs.provenance import ROOT
from experiments.tables import grid
from experiments.tables.console import show
from experiments.tables.report import Content, make_report
from experiments.tabulate import FORMS, WIDTH_OF_A_FILE, add_options, content_of
from experiments.units import NOTHING

WRITTEN = ("markdown", "latex", "csv")


@dataclass(frozen=True)
class Request:
    """What a person asked for. own: words for every run. record: store what comes out as the expectation.
    dry_run: only say what would run, as experiments.train does; "" to run it."""

    table: TableSpec
    scale: str
    workers: int
    out: Path
    record: bool
    dry_run: str
    own: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 where a cell fails or the input is at fault."""
    parser = argparse.ArgumentParser("python -m experiments.reproduce", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE",
        help="table=NAME, scale=full or smoke, workers=N sweeps at a time, out=FOLDER, record=true, dry_run=true or "
        "measure; others go to runs",
    )
    words = parser.parse_args(arguments).words
    failed: list[Cell] = []
    status = told(partial(_main, words, failed), "reproduce")
    return 1 if failed else status


def _main(words: Sequence[str], failed: list[Cell]) -> None:
    if not words:
        show(grid.Report((catalogue(),), (), ()), Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE))
        return
    request = understood(words)
    if request.dry_run:
        foretell(request.table, request.scale, request.own, request.dry_run, request.workers)
        return
    failed += reproduce(request)


def understood(words: Sequence[str]) -> Request:
    """The request that the words make. Raises `ValueError` for an unknown table or scale."""
    said = dict(word.partition("=")[::2] for word in words)
    mine = ("table", "scale", "workers", "out", "record", "dry_run")
    if "table" not in said:
        raise ValueError(f"say which table: table={'|'.join(names())}")
    table, scale = read_spec(said["table"]), said.get("scale", "full")
    if scale not in SCALES:
        raise ValueError(f"scale is {scale}; it is {' or '.join(SCALES)}")
    workers = said.get("workers", str(table.workers or cores()))
    if not workers.isdigit() or int(workers) < 1:
        raise ValueError(f"workers is {workers}; at least one sweep runs at a time")
    # Runs are made from within the clone; folders that a person names are meant from where the person is.
    given = {key: str(Path(said[key]).expanduser().absolute()) for key in FOLDERS if key in said}
    folders = {"runs_dir": str(ROOT / "runs")} | given
    out = Path(said.get("out", f"{folders['runs_dir']}/tables/{table.name}-{scale}"))
    own = tuple(word for word in words if word.partition("=")[0] not in (*mine, *FOLDERS))
    own += tuple(f"{key}={folder}" for key, folder in folders.items())
    dry_run = "" if said.get("dry_run") in (None, "false") else said["dry_run"]
    return Request(table, scale, int(workers), out, said.get("record") == "true", dry_run, own)


def reproduce(request: Request) -> list[Cell]:
    """Make it, show it, write it; returns the cells that fail."""
    table = request.table
    print(f"{table.name}: {table.says}\nfull scale: {table.time}, {table.hardware}\n", flush=True)
    manifests = make_runs(table, request.scale, request.own, request.workers)
    content = content_of(options(table, request.scale, manifests))
    report = make_report(content)
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    show(report, console)
    request.out.mkdir(parents=True, exist_ok=True)
    for form in WRITTEN:
        atomic_write(request.out / f"table{FORMS[form].suffix}", FORMS[form].write(report))
    _draw(table, manifests, request.out)
    keep_evidence(runs_of(manifests), request.out)
    cells = _judge(request, content)
    show(grid.Report((judged(cells),), (_summary(cells),), ()), console)
    print(request.out)
    return [cell for cell in cells if cell.verdict == "FAIL"]


def judged(cells: Sequence[Cell]) -> grid.Grid:
    """Cells, what they were, and how they did."""
    rows = [(cell.row, cell.name, _number(cell.found), _expected(cell), cell.verdict) for cell in cells]
    return grid.Grid(
        "Against what is stored",
        ("row", "number", "found", "expected", ""),
        tuple(tuple(map(grid.Cell, row)) for row in rows),
        names=2,
    )


def catalogue() -> grid.Grid:
    """The tables that can be made."""
    specs = map(read_spec, names())
    rows = [(spec.name, spec.says, spec.time, spec.hardware) for spec in specs]
    header = ("table", "question", "time", "hardware")
    return grid.Grid("Tables", header, tuple(tuple(map(grid.Cell, row)) for row in rows), names=4)


def _judge(request: Request, content: Content) -> list[Cell]:
    table, path = request.table, request.table.expected / f"expected-{request.scale}.json"
    keys = len(content.keys) - len(table.pick)
    if request.record:
        runs = [run for row in content.rows for run in row.done]
        expectation.write(path, expectation.expect(content.rows, keys, content.metrics), runs)
        print(f"stored as what is expected: {path}")
    return expectation.compare(expectation.found_in(content.rows, keys, content.metrics), expectation.read(path))


def options(table: TableSpec, scale: str, manifests: Sequence[Path]) -> argparse.Namespace:
    """Those of experiments.tabulate."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    words = [*map(str, manifests), "--title", table.name, "--by", *table.by, "--metrics", *table.metrics]
    words += ["--costs", *table.costs, "--monitor", table.monitor]
    papers = table.published if scale == "full" else ()  # smoke is of other data than any paper's
    reference = (table.reference,) if table.reference else ()
    for option, values in (("--pick", table.pick), ("--reference", reference), ("--published", papers)):
        words += [option, *values] if values else []
    return parser.parse_args(words)


def _draw(table: TableSpec, manifests: Sequence[Path], folder: Path) -> None:
    for stem, words in table.figures.items():
        kind, *rest = words
        for form in ("png", "pdf"):
            out = folder / f"{stem}.{form}"
            if plot.main([kind, *map(str, manifests), *rest, "--out", str(out)]):
                raise ProgramError(f"{out} was not drawn, for the reason above")


def _summary(cells: Sequence[Cell]) -> str:
    count = {verdict: sum(cell.verdict == verdict for cell in cells) for verdict in ("OK", "FAIL", "new")}
    return f"{count['OK']} OK, {count['FAIL']} FAIL, {count['new']} without an expectation."


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}" if value < 1 else f"{value:,.0f}"


def _expected(cell: Cell) -> str:
    if cell.expected is None:
        return NOTHING
    spread = f" ± {_number(cell.expected.tolerance)}" if cell.expected.tolerance else ""
    return _number(cell.expected.value) + spread


if __name__ == "__main__":
    tie_to_parent()  # where a program that makes more started this one; a caller of main() stays untied
    sys.exit(main())
