"""Tables as LaTeX for a paper: `table` environments with booktabs rules; the caption says what all rows share."""

from experiments.tables.grid import Cell, Emphasis, Grid, Report

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
    }
)


def latex(report: Report) -> str:
    r"""One `table` a grid; needs \usepackage{booktabs}. The first carries caption and footnotes."""
    legend = [*map(_escaped, report.caption), *(f"{_sign(sign)} {_escaped(text)}" for sign, text in report.notes)]
    first, *others = report.grids
    tables = [_table(first, " ".join([f"{_escaped(first.title)}.", *legend]))]
    tables += [_table(grid, f"{_escaped(grid.title)}.") for grid in others]
    return "% \\usepackage{booktabs}\n" + "\n".join(tables)


def _table(grid: Grid, caption: str) -> str:
    columns = "l" * grid.names + "r" * (len(grid.header) - grid.names)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line([_escaped(name) for name in grid.header]),
        r"\midrule",
        *(_line([_cell(cell) for cell in row]) for row in grid.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    return COMMANDS[cell.emphasis] % _escaped(cell.text) + "".join(map(_sign, cell.marks))


def _sign(mark: str) -> str:
    return rf"\textsuperscript{{{_escaped(mark)}}}"


def _escaped(text: str) -> str:
    return text.translate(SPECIAL)
