"""Tables as comma-separated values, for other programs: numbers unrounded, in bytes, seconds and shares."""

import csv
import io

from experiments.tables.grid import Cell, Report
from experiments.units import NOTHING

SPREADS = {1: ("sd",), 2: ("low", "high")}


def csv_text(report: Report) -> str:
    """The first table alone, as RFC 4180 has it. Names are followed by their row's marks (dirty, stale, jobs lost),
    a measured column by its deviation over seeds or the ends of its interval, and by its marks; caption and footnotes
    are left out, but for where quoted rows stand."""
    grid = report.grids[0]
    columns = [[row[place] for row in grid.rows] for place in range(len(grid.header))]
    parts = [
        _part(name, cells, place < grid.names)
        for place, (name, cells) in enumerate(zip(grid.header, columns, strict=True))
    ]
    marks = [[" ".join(cell.marks)] for cell in columns[grid.names - 1]]
    parts.insert(grid.names, (["row marks"], marks))
    if grid.quoted:
        parts.append((["quoted from"], [[""]] * grid.measured + [[source] for source in grid.quoted]))
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([name for names, _ in parts for name in names])
    for row in zip(*(rows for _, rows in parts), strict=True):
        writer.writerow([value for values in row for value in values])
    return file.getvalue()


def _part(name: str, cells: list[Cell], names: bool) -> tuple[list[str], list[list[str]]]:
    """The columns that one of the table becomes."""
    if names:
        return [name], [[cell.text] for cell in cells]
    kinds = sorted({len(cell.spread) for cell in cells if cell.spread})
    if not any(cell.spread is not None for cell in cells):
        return [name], [[_written(cell)] for cell in cells]
    spreads = [word for kind in kinds for word in SPREADS[kind]]
    rows = []
    for cell in cells:
        known = dict(zip(SPREADS[len(cell.spread)], cell.spread, strict=True)) if cell.spread else {}
        rows.append(
            [_written(cell), *(repr(known[word]) if word in known else "" for word in spreads), " ".join(cell.marks)]
        )
    return [name, *(f"{name} {word}" for word in spreads), f"{name} marks"], rows


def _written(cell: Cell) -> str:
    if cell.number is not None:
        return repr(cell.number)
    return "" if cell.text == NOTHING else cell.text
