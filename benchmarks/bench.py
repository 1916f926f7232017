"""Measure how much faster, and in how much less memory, this does what ordinary code does.

    python -m benchmarks.bench                     every row (hours on two cores)
    python -m benchmarks.bench ml100k_full beauty  the named ones
    python -m benchmarks.bench --quick             a slice of each: whether it runs, not what it measures
    python -m benchmarks.bench --list              names, and minutes on two cores
    python -m benchmarks.bench --stored            the table of what was measured before
    python -m benchmarks.bench --markdown          the same as Markdown

Two programs take turns, A B A B ..., each in a process of its own, and processor seconds are compared: on a shared
machine single times say nothing. There give each program one thread (`--threads 1`): two threads that wait for each
other while a third program holds a core are many times slower, in small operations most of all. Every row is also
written to benchmarks/results/NAME.json.
"""

import argparse
import os
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.measuring.ratio import brief
from benchmarks.measuring.row import COLUMNS, RESULTS, Bench, Row, cells, stored, write
from benchmarks.rows import gradients, growth, hybrid, ladder, ranking, retrieval, sasrec, sentences, share, tuning
from experiments.config import hardware

WIDTH = 150
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
COLOURED = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}


def all_benches() -> dict[str, Bench]:
    """Every measurement by its name."""
    modules = (gradients, tuning, sasrec, hybrid, share, ranking, retrieval, ladder, growth, sentences)
    return {name: bench for module in modules for name, bench in module.benches().items()}


def main() -> int:
    """Entry point: 1 where something that was asked is not reached."""
    benches = all_benches()
    arguments = _parser(benches).parse_args()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if arguments.list:
        console.print(_listed(benches))
        return 0
    if arguments.stored:
        console.print(_table(stored()))
        return 0
    if arguments.markdown:
        print(_markdown(stored()))
        return 0
    unknown = sorted(set(arguments.names) - set(benches))
    if unknown:
        raise SystemExit(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(benches)}")
    for variable in THREADS:
        os.environ[variable] = str(arguments.threads)
    rows: list[Row] = []
    failed = []
    for name in arguments.names or benches:
        console.print(f"{name}: {benches[name].about}", style="dim")
        try:
            found = benches[name].measure(arguments.quick)
        except RuntimeError as fault:  # a loop died, of lack of memory for instance: the other rows are still wanted
            console.print(f"{fault}", style="red", soft_wrap=True, markup=False)
            failed.append(name)
            continue
        console.print(_reproduced(found), style="dim", soft_wrap=True, markup=False)
        console.print(f"  {write(found, name, arguments.quick, arguments.threads)}", style="dim", soft_wrap=True)
        rows += found
    console.print(_table(rows))
    slice_ = "; a quick slice, which measures little" if arguments.quick else ""
    console.print(f"{hardware.describe()}, {arguments.threads} threads{slice_}")
    if failed:
        console.print(f"did not run: {', '.join(failed)}", style="red")
    print(RESULTS)
    return int(bool(failed) or any(row.reached is False for row in rows))


def _parser(benches: dict[str, Bench]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to measure (default: all)")
    parser.add_argument("--quick", action="store_true", help="a slice of each")
    parser.add_argument("--threads", type=int, default=hardware.cores(), help="of each program (default: all cores)")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--stored", action="store_true", help="show what was measured before")
    parser.add_argument("--markdown", action="store_true", help="show it as Markdown")
    return parser


def _listed(benches: dict[str, Bench]) -> Table:
    table = Table("name", "what", "minutes", box=None)
    for name, bench in benches.items():
        table.add_row(name, bench.about, brief(bench.minutes))
    return table


def _table(rows: list[Row]) -> Table:
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*cells(row)[:-1], COLOURED[row.reached])
    return table


def _markdown(rows: list[Row]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _reproduced(rows: list[Row]) -> str:
    return "\n".join(f"  $ {command}" for command in dict.fromkeys(side.command for row in rows for side in row.sides))


if __name__ == "__main__":
    sys.exit(main())
