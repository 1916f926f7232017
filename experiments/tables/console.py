"""Tables on a terminal, drawn by rich. On a narrow one cells fold, so that no digit is lost."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.tables.grid import Cell, Emphasis, Grid, Report

STYLES: dict[Emphasis, str] = {"plain": "", "best": "bold", "second": "underline"}


def show(report: Report, console: Console) -> None:
    """Print the tables, then caption and footnotes."""
    for grid in report.grids:
        console.print(_table(grid))
    for sentence in report.caption:
        console.print(Text(sentence))
    for sign, text in report.notes:
        console.print(Text(f"{sign} {text}"))


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left")
    for place, name in enumerate(grid.header):
        table.add_column(Text(name), justify="left" if place < grid.names else "right", overflow="fold")
    for place, row in enumerate(grid.rows):
        if place == grid.measured:
            table.add_section()
        table.add_row(*map(_cell, row))
    return table


def _cell(cell: Cell) -> Text:
    # Appended, since a Text's own style would also underline the padding of its column.
    return Text().append(cell.text, style=STYLES[cell.emphasis]).append("".join(" " + mark for mark in cell.marks))
