"""What was measured on a GPU, written down and shown."""

import json
import sys
from pathlib import Path

from benchmarks.loops.place import Place
from benchmarks.measuring.row import COLUMNS, Row, cells, write
from experiments.config import hardware

WIDTH = 170


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
        widths = [max(map(len, column)) for column in zip(COLUMNS, *lines, strict=True)]
        for line in (COLUMNS, *lines):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    table = Table(*COLUMNS, box=None)
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table, markup=False)
