"""Tables as LaTeX for a paper: booktabs rules, numbers aligned by siunitx; the caption says what all rows share."""

from experiments.tables.grid import Cell, Emphasis, Grid, Report

PREAMBLE = r"% \usepackage{booktabs,siunitx}" + "\n"
COMMANDS: dict[Emphasis, str] = {"plain": "%s", "best": r"\textbf{%s}", "second": r"\underline{%s}"}
SPECIAL = str.maketrans(
    {
        **{sign: "\\" + sign for sign in "#$%&_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "[": "{[}",  # a bare bracket after \\ would be read as that command's argument
        "]": "{]}",
        "±": r"$\pm$",
        "≈": r"$\approx$",
        "†": r"$\dagger$",
        "‡": r"$\ddagger$",
        "§": r"\S{}",
    }
)


def latex(report: Report) -> str:
    """One `table` a grid. The first carries caption and footnotes."""
    legend = [*map(_escaped, report.caption), *(f"{_sign(sign)} {_escaped(text)}" for sign, text in report.notes)]
    first, *others = report.grids
    tables = [_table(first, " ".join([f"{_escaped(first.title)}.", *legend]))]
    tables += [_table(grid, f"{_escaped(grid.title)}.") for grid in others]
    return PREAMBLE + "\n".join(tables)


def _table(grid: Grid, caption: str) -> str:
    measured = [_is_measured(grid, place) for place in range(len(grid.header))]
    rows = [_line([_cell(cell, one) for cell, one in zip(row, measured, strict=True)]) for row in grid.rows]
    if grid.quoted:
        rows.insert(grid.measured, r"\midrule")
    columns = "".join(_column(place < grid.names, one) for place, one in enumerate(measured))
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\setlength{\belowcaptionskip}{6pt}",  # by itself LaTeX leaves none, for captions below a table
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line([_head(name, one) for name, one in zip(grid.header, measured, strict=True)]),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _is_measured(grid: Grid, place: int) -> bool:
    """Whether the column holds accuracies, which stand decimal under decimal with their spread beside them."""
    return any(row[place].spread is not None for row in grid.rows)


def _column(names: bool, measured: bool) -> str:
    if measured:
        return r"S[table-format=1.4]@{\,}l"
    return "l" if names else "r"


def _head(name: str, measured: bool) -> str:
    return rf"\multicolumn{{2}}{{c}}{{{_escaped(name)}}}" if measured else _escaped(name)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell, measured: bool) -> str:
    marks = "".join(map(_sign, cell.marks))
    if not measured:
        return COMMANDS[cell.emphasis] % _escaped(cell.text) + marks
    if cell.number is None:
        return rf"{{{_escaped(cell.text)}}} & {marks}"
    number, _, spread = cell.text.partition(" ")
    # Braces show siunitx no number, so emphasis stays the author's; as wide as its neighbours, it stands among them.
    shown = number if cell.emphasis == "plain" else f"{{{COMMANDS[cell.emphasis] % number}}}"
    return rf"{shown} & {{\footnotesize {_escaped(spread)}}}{marks}"


def _sign(mark: str) -> str:
    return rf"\textsuperscript{{{_escaped(mark)}}}"


def _escaped(text: str) -> str:
    return text.translate(SPECIAL)
