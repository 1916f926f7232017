"""Tables as HTML: they sort by a click on a column and filter by words, and load nothing from anywhere."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from experiments.tables.grid import Cell, Grid, Report

HERE = Path(__file__).parent
STYLE, SCRIPT = HERE / "table.css", HERE / "table.js"


def html_text(report: Report) -> str:
    """A file of its own."""
    style, script = (path.read_text(encoding="utf-8") for path in (STYLE, SCRIPT))
    title = escape(report.grids[0].title)
    head = f'<meta charset="utf-8">\n<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>'
    body = f"<section><h1>{title}</h1>\n{tables(report)}\n</section>\n<script>\n{script}</script>"
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def tables(report: Report) -> str:
    """For a page with `STYLE` and `SCRIPT`, within a section: the first table under a field that filters its rows,
    caption and notes, then the others, folded."""
    first, *others = report.grids
    parts = ['<input type="search" placeholder="filter rows" aria-label="filter rows">', _table(first)]
    parts += [f'<p class="caption">{escape(" ".join(report.caption))}</p>']
    parts += [f'<p class="note">{escape(sign)} {escape(text)}</p>' for sign, text in report.notes]
    parts += [f"<details><summary>{escape(grid.title)}</summary>{_table(grid)}</details>" for grid in others]
    return "\n".join(parts)


def _table(grid: Grid) -> str:
    heads = "".join(
        f'<th{_name(place < grid.names)}><button type="button">{escape(name)}</button></th>'
        for place, name in enumerate(grid.header)
    )
    rows = [
        "<tr>" + "".join(_cell(cell, place < grid.names) for place, cell in enumerate(row)) + "</tr>"
        for row in grid.rows
    ]
    table = f"<thead><tr>{heads}</tr></thead>\n" + _body(rows[: grid.measured])
    if grid.quoted:  # a body of its own is sorted by itself and stays below
        table += _body(rows[grid.measured :], ' class="quoted"')
    return f'<div class="scroll"><table class="sortable">{table}</table></div>'


def _body(rows: Sequence[str], kind: str = "") -> str:
    return f"<tbody{kind}>\n" + "\n".join(rows) + "\n</tbody>"


def _name(names: bool) -> str:
    return ' class="name"' if names else ""


def _cell(cell: Cell, names: bool) -> str:
    classes = " ".join([*(["name"] if names else []), *([cell.emphasis] if cell.emphasis != "plain" else [])])
    number = cell.number if cell.number is not None and math.isfinite(cell.number) else None
    value = "" if number is None else f' data-value="{number!r}"'
    marks = "".join(f"<sup>{escape(mark)}</sup>" for mark in cell.marks)
    return f'<td class="{classes}"{value}>{escape(cell.text)}{marks}</td>'
