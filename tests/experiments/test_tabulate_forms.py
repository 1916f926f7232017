"""One small report in each form: golden texts of two cells that a person can check, and structure."""

import csv
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from experiments.tables.console import show
from experiments.tables.csv_form import csv_text
from experiments.tables.grid import Cell, Grid, Report
from experiments.tables.latex import latex
from experiments.tables.markdown import markdown
from experiments.tabulate import main
from tests.experiments.fabricated import three_seeds

REPORT = Report(
    grids=(
        Grid(
            title="R&D_1",
            header=("head", "test/hr@10", "of all"),
            rows=(
                (Cell("graph"), Cell("0.5000 ± 0.1000", "best", (), 0.5, (0.1,)), Cell("0.33%")),
                (
                    Cell("a|b", marks=("†",)),
                    Cell("0.2 [0, 1]", "second", ("≈",), 0.2, (0.0, 1.0)),
                    Cell("100%", number=1.0),
                ),
            ),
            names=1,
        ),
    ),
    caption=("Loss softmax.",),
    notes=(("≈", "p < 0.05"), ("(a)", "failed: no_part.")),
)

MARKDOWN = r"""**R&D_1**

| head | test/hr@10 | of all |
| :-- | --: | --: |
| graph | **0.5000 ± 0.1000** | 0.33% |
| a\|b † | <u>0.2 [0, 1]</u> ≈ | 100% |

Loss softmax.

- ≈ p \< 0.05
- (a) failed: no_part.
"""

LATEX = r"""% \usepackage{booktabs,siunitx}
\begin{table}
\centering
\setlength{\belowcaptionskip}{6pt}
\caption{R\&D\_1. Loss softmax. \textsuperscript{$\approx$} p $<$ 0.05 \textsuperscript{(a)} failed: no\_part.}
\begin{tabular}{lS[table-format=1.4]@{\,}lr}
\toprule
head & \multicolumn{2}{c}{test/hr@10} & of all \\
\midrule
graph & {\textbf{0.5000}} & {\footnotesize $\pm$ 0.1000} & 0.33\% \\
a|b\textsuperscript{$\dagger$} & {\underline{0.2}} & {\footnotesize {[}0, 1{]}}\textsuperscript{$\approx$} & 100\% \\
\bottomrule
\end{tabular}
\end{table}
"""

CONSOLE = """\
R&D_1
┏━━━━━━━┳━━━━━━━━━━━━━━━━━┳━━━━━━━━┓
┃ head  ┃      test/hr@10 ┃ of all ┃
┡━━━━━━━╇━━━━━━━━━━━━━━━━━╇━━━━━━━━┩
│ graph │ 0.5000 ± 0.1000 │  0.33% │
│ a|b † │    0.2 [0, 1] ≈ │   100% │
└───────┴─────────────────┴────────┘
Loss softmax.
≈ p < 0.05
(a) failed: no_part.
"""


def printed(width=100, **terminal):
    console = Console(width=width, **terminal)
    with console.capture() as capture:
        show(REPORT, console)
    return capture.get()


def test_markdown():
    assert markdown(REPORT) == MARKDOWN


def test_latex():
    assert latex(REPORT) == LATEX


def test_console():
    assert "\n".join(line.rstrip() for line in printed().splitlines()) + "\n" == CONSOLE


def test_a_terminal_shows_the_best_bold_and_the_second_underlined():
    shown = printed(force_terminal=True, color_system="standard")
    assert "\x1b[1m0.5000 ± 0.1000\x1b[0m" in shown
    assert "\x1b[4m0.2 [0, 1]\x1b[0m" in shown


def test_a_narrow_terminal_loses_no_digit():
    assert "…" not in printed(width=30)
    assert printed(width=30).count("0") == printed(width=100).count("0")


def test_every_form_says_the_same(tmp_path, capsys):
    manifest = three_seeds(tmp_path)
    said = {}
    for form in ("console", "markdown", "latex"):
        assert main([str(manifest), "--format", form]) == 0
        said[form] = sorted(re.findall(r"\d\.\d{4}", capsys.readouterr().out))
    assert len(said["markdown"]) > 10
    assert said["markdown"] == said["latex"] == said["console"]


def test_latex_rows_have_as_many_cells_as_columns(tmp_path, capsys):
    """A cell over two columns counts twice."""
    assert main([str(three_seeds(tmp_path)), "--format", "latex"]) == 0
    text = capsys.readouterr().out
    tables = re.findall(r"\\begin\{tabular\}\{([^\n]*)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(tables) == 2
    for columns, body in tables:
        wanted = len(re.sub(r"\[.*?\]|@\{.*?\}", "", columns))
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        found = {len(re.split(r"(?<!\\)&", line)) + line.count(r"\multicolumn{2}") for line in rows}
        assert found == {wanted}
    assert text.count("{") == text.count("}")


def test_other_programs_get_numbers_and_not_words():
    assert csv_text(REPORT).splitlines() == [
        "head,row marks,test/hr@10,test/hr@10 sd,test/hr@10 low,test/hr@10 high,test/hr@10 marks,of all",
        "graph,,0.5,0.1,,,,0.33%",
        "a|b,†,0.2,,0.0,1.0,≈,1.0",
    ]


def test_values_of_a_sweep_are_read_back_unrounded(tmp_path, capsys):
    out = tmp_path / "table.csv"
    assert main([str(three_seeds(tmp_path)), "--format", "csv", "--out", str(out)]) == 0
    rows = {row["strategy"]: row for row in csv.DictReader(out.read_text().splitlines())}
    assert float(rows["lora"]["test/ndcg@10"]) == pytest.approx(0.5, abs=1e-12)
    assert float(rows["lora"]["test/ndcg@10 sd"]) == pytest.approx(0.1, abs=1e-12)
    assert float(rows["full"]["peak memory"]) == 1.5 * 2**30
    assert float(rows["full"]["epoch"]) == 125.0


def test_a_table_as_html_shows_what_the_console_does_and_loads_nothing(tmp_path, capsys):
    manifest = three_seeds(tmp_path)
    assert main([str(manifest), "--format", "html"]) == 0
    printed = capsys.readouterr().out
    text = Path(printed.splitlines()[-1]).read_text()
    assert "<table" not in printed
    assert text.count("<table") == printed.count("┏") == 2
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert '<td class="best" data-value="0.5' in text
    assert text.endswith("</html>\n")


def test_latex_compiles(tmp_path, capsys):
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex on this machine")
    out = tmp_path / "table.tex"
    assert main([str(three_seeds(tmp_path)), "--format", "latex", "--out", str(out)]) == 0
    whole = r"\documentclass{article}\usepackage{booktabs,siunitx}\begin{document}\input{table.tex}\end{document}"
    (tmp_path / "paper.tex").write_text(whole)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
