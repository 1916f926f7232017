"""What was measured on a GPU, written down and shown."""

import json
import sys
from pathlib import Path

from benchmarks.loops.place import Place
from benchmarks.measuring.ratio import brief
from benchmarks.measuring.row import Row, write
from experiments.config import hardware

WIDTH = 170
VERDICTS = {True: "yes", False: "no", None: ""}
HEADINGS = ("row", "unit", "A", "B", "ratio", "spread", "asked", "reached")


def keep(rows: list[Row], name: str, place: Place, out: Path) -> Path:
    """Write rows as all benchmarks do, with the device and the command of this program."""
    path = write(rows, f"gpu_{name}", place.quick, hardware.cores(), out)
    again = f"python -m benchmarks.gpu {name} --device {place.device}{' --quick' if place.quick else ''}"
    record = json.loads(path.read_text("utf-8")) | {"reproduce": again, "device": place.device}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def show(rows: list[Row]) -> None:
    """As a table; drawn where rich is installed."""
    lines = [cells(row) for row in rows]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(HEADINGS, *lines, strict=True)]
        for line in (HEADINGS, *lines):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    table = Table(*HEADINGS, box=None)
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table, markup=False)


def cells(row: Row) -> tuple[str, ...]:
    """A line of the table."""
    sides = [side.what if side.value is None else f"{side.what} {brief(side.value)}" for side in row.sides]
    spread = "" if row.spread is None else f"{brief(row.spread[0])}-{brief(row.spread[1])}"
    asked = "" if row.goal is None else f"{'<=' if row.at_most else '>='} {brief(row.goal)}"
    return (row.what, row.unit, *sides, brief(row.ratio), spread, asked, VERDICTS[row.reached])
