"""Tables as GitHub's Markdown."""

from experiments.tables.grid import Cell, Emphasis, Grid, Report

FRAMES: dict[Emphasis, tuple[str, str]] = {"plain": ("", ""), "best": ("**", "**"), "second": ("<u>", "</u>")}
# An underscore within a word and a bracket without a link are themselves.
SPECIAL = str.maketrans({sign: "\\" + sign for sign in "\\|*<>`"})


def markdown(report: Report) -> str:
    """Tables, caption, then one list entry a footnote."""
    blocks = [_table(grid) for grid in report.grids]
    blocks.append(" ".join(map(_escaped, report.caption)))
    blocks.append("\n".join(f"- {_escaped(sign)} {_escaped(text)}" for sign, text in report.notes))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(grid: Grid) -> str:
    ruler = [":--"] * grid.names + ["--:"] * (len(grid.header) - grid.names)
    rows = [list(map(_cell, row)) for row in grid.rows]
    if grid.quoted:  # Markdown has no rule within a table
        rows.insert(grid.measured, ["*quoted*", *[""] * (len(grid.header) - 1)])
    lines = [list(map(_escaped, grid.header)), ruler, *rows]
    return f"**{_escaped(grid.title)}**\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(cell: Cell) -> str:
    opening, closing = FRAMES[cell.emphasis]
    return " ".join([f"{opening}{_escaped(cell.text)}{closing}", *map(_escaped, cell.marks)])


def _escaped(text: str) -> str:
    return text.translate(SPECIAL)
