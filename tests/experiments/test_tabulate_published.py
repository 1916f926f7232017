"""Published rows beside ours: how they are shown, what they may stand beside, and that they change nothing of ours."""

import csv
import re

import pytest

from experiments.report import main as report
from experiments.tables import published
from experiments.tables.quoted import within
from experiments.tabulate import main
from tests.experiments.fabricated import NDCG, PAPER, config, three_seeds, write_run
from tests.experiments.tabulated import refusal, row, table

HR, NDCG10 = "test/hr@10", "test/ndcg@10"


@pytest.fixture
def papers(tmp_path, monkeypatch):
    """A folder of published files with one in it, called toy."""
    folder = tmp_path / "papers"
    folder.mkdir()
    monkeypatch.setattr(published, "FOLDER", folder)
    (folder / "toy.yaml").write_text(PAPER)
    return folder


def ours(lines):
    """What the tables say of our rows, without what sets them against a paper."""
    said = [re.sub(r" (-|\d\S+ / \d\S+ \w+ \S+) \|(?= 73.7k)", "", line) for line in lines]
    return [line for line in said if line.startswith(("| lora", "| full"))]


def test_quoted_rows_change_nothing_of_ours(tmp_path, papers, capsys):
    manifest = three_seeds(tmp_path)
    alone, beside = (table(capsys, manifest, *words) for words in ((), ("--published", "toy")))
    assert len(ours(alone)) == 4  # two in the table, and of each metric the difference to the best
    assert ours(alone) == ours(beside)
    tested = next(line for line in alone if "Wilcoxon" in line)
    assert any(tested.strip() in line for line in beside)


def test_a_quoted_row_is_marked_and_never_best_nor_tested(tmp_path, papers, capsys):
    lines = table(capsys, three_seeds(tmp_path), "--published", "toy")
    assert row(lines, "Giant").startswith("| Giant §1 | 0.9900 | 0.9800 ± 0.0100 | - | - |")
    assert row(lines, "Small").startswith("| Small §2 §3 | - | 0.5200 | - | - |")
    assert [name for name in ("Giant", "Small") if re.search(r"\*\*|<u>|≈", row(lines, name))] == []
    assert "**0.5000 ± 0.1000**" in row(lines, "lora")
    assert "- §1 quoted from A & B (2020), table 3." in lines
    assert "- §2 quoted from C (2021)." in lines
    assert "- §3 under-tuned." in lines
    assert "- Published toy: ordered by day." in lines
    assert any("Rows marked § are quoted and were not measured here" in line for line in lines)
    assert lines.index(row(lines, "Giant")) == next(n for n, line in enumerate(lines) if "*quoted*" in line) + 1


def test_ours_stands_beside_the_paper_that_it_reproduces(tmp_path, papers, capsys):
    # lora's mean is .5; 5% of .52 is .026, and .5 is .02 below.
    lines = table(capsys, three_seeds(tmp_path), "--published", "toy")
    header = next(line for line in lines if "test/ndcg@10 ours / paper" in line)
    assert "test/hr@10 ours / paper" not in header  # Small has no hr@10, and nothing of ours reproduces Giant
    assert "| 0.5000 / 0.5200 within 5% |" in row(lines, "lora")
    assert "/ 0.5200" not in row(lines, "full")
    assert any("differ by at most 5% of the published one" in line for line in lines)
    (papers / "toy.yaml").write_text(PAPER.replace("tolerance: 0.05", "tolerance: 0.038"))  # .01976
    lines = table(capsys, tmp_path / "sweeps" / "strategies.json", "--published", "toy")
    assert "| 0.5000 / 0.5200 outside 3.8% |" in row(lines, "lora")


@pytest.mark.parametrize(
    ("found", "paper", "tolerance", "is_within"),
    [
        (0.0897, 0.0859, 0.05, True),  # .0038 of .0043
        (0.0916, 0.0859, 0.05, False),  # .0057
        (0.0815, 0.0859, 0.05, False),  # .0044, below
        (0.0817, 0.0859, 0.05, True),  # .0042, below
        (0.95, 1.0, 0.05, True),  # the limit itself, which floats miss by their last digit
    ],
)
def test_tolerance_is_a_share_of_the_published_number(found, paper, tolerance, is_within):
    assert within(found, paper, tolerance) is is_within


def test_two_papers_of_one_model_are_told_apart(tmp_path, papers, capsys):
    again = PAPER.replace("Small", "Small again").replace("C (2021)", "D (2022)").replace("0.52}", "0.6}")
    (papers / "other.yaml").write_text(again.replace("tolerance: 0.05", "tolerance: 0.1"))
    write_run(tmp_path, "a")
    said = row(table(capsys, tmp_path / "a", "--published", "toy", "other"), "a")
    assert "0.5000 / 0.5200 within 5% (Small §2); 0.5000 / 0.6000 outside 10% (Small again §4)" in said


def test_other_data_are_refused_unless_mixed(tmp_path, papers, capsys):
    write_run(tmp_path, "a", provenance={"data_digest": "e" * 16})
    said = refusal(capsys, tmp_path / "a", "--published", "toy")
    wanted = "published toy is of other prepared data than these runs: dddddddddddddddd (toy); eeeeeeeeeeeeeeee (a)"
    assert wanted in said
    assert "--mixed" in said
    assert len(said.splitlines()) == 1
    lines = table(capsys, tmp_path / "a", "--published", "toy", "--mixed")
    assert "| Small §2 §3 |" in row(lines, "Small")
    assert not any("ours / paper" in line for line in lines)
    assert "- Mixed toy is of other data or another protocol than every row here: do not compare." in lines


def test_another_protocol_is_refused_unless_mixed(tmp_path, papers, capsys):
    unmasked = {"metrics": config()["metrics"] | {"mask_history": False}}
    write_run(tmp_path, "a", changes=unmasked)
    said = refusal(capsys, tmp_path / "a", "--published", "toy")
    assert "published toy is of another evaluation protocol than these runs: " in said
    assert '"metrics.mask_history": true' in said
    assert '"metrics.mask_history": false' in said
    assert len(said.splitlines()) == 1
    assert not any("ours / paper" in line for line in table(capsys, tmp_path / "a", "--published", "toy", "--mixed"))


def test_mixed_rows_are_set_against_papers_of_their_own_data_alone(tmp_path, papers, capsys):
    for name, digest in (("a", "d" * 16), ("b", "e" * 16)):
        write_run(tmp_path, name, provenance={"data_digest": digest}, overrides=[f"world={name}"])
    lines = table(capsys, tmp_path, "--published", "toy", "--mixed", "--by", "world")
    assert "0.5000 / 0.5200 within 5%" in row(lines, "a")
    assert "/ 0.5200" not in row(lines, "b")
    assert "- Mixed toy is of other data or another protocol than some rows here: do not compare." in lines


def test_a_misspelt_name_gets_the_nearest_and_all(tmp_path, papers, capsys):
    write_run(tmp_path, "a")
    (papers / "yelp.yaml").write_text(PAPER)
    said = refusal(capsys, tmp_path / "a", "--published", "toi")
    assert "--published toi: did you mean 'toy'? there is: toy, yelp" in said


def test_papers_without_the_metric_are_refused(tmp_path, papers, capsys):
    write_run(tmp_path, "a")
    said = refusal(capsys, tmp_path / "a", "--published", "toy", "--metrics", "test/cold/ndcg@10")
    assert "published toy has none of test/cold/ndcg@10; it has: test/hr@10, test/ndcg@10" in said


def test_latex_draws_a_rule_and_marks(tmp_path, papers, capsys):
    assert main([str(three_seeds(tmp_path)), "--format", "latex", "--published", "toy"]) == 0
    first = capsys.readouterr().out.split(r"\end{table}")[0]
    lines = first.splitlines()
    assert lines.count(r"\midrule") == 2
    below = lines[len(lines) - 1 - lines[::-1].index(r"\midrule") + 1 :]
    assert below[0].startswith(
        r"Giant\textsuperscript{\S{}1} & 0.9900 & {\footnotesize } & 0.9800 & {\footnotesize $\pm$"
    )
    assert below[1].startswith(
        r"Small\textsuperscript{\S{}2}\textsuperscript{\S{}3} & {-} &  & 0.5200 & {\footnotesize }"
    )
    assert r"0.5000 / 0.5200 within 5\%" in first
    assert r"\textsuperscript{\S{}1} quoted from A \& B (2020), table 3." in first
    assert "§" not in first


def test_other_programs_are_told_what_is_quoted(tmp_path, papers, capsys):
    out = tmp_path / "table.csv"
    assert main([str(three_seeds(tmp_path)), "--format", "csv", "--out", str(out), "--published", "toy"]) == 0
    rows = {one["strategy"]: one for one in csv.DictReader(out.read_text().splitlines())}
    assert rows["Giant"]["quoted from"] == "A & B (2020), table 3"
    assert (rows["Giant"][HR], rows["Giant"][f"{NDCG10} sd"], rows["Small"][HR]) == ("0.99", "0.01", "")
    assert rows["lora"]["quoted from"] == ""
    assert rows["lora"][f"{NDCG10} ours / paper"] == "0.5000 / 0.5200 within 5%"


def test_every_form_says_the_same(tmp_path, papers, capsys):
    manifest, said = three_seeds(tmp_path), {}
    for form in ("console", "markdown", "latex"):
        assert main([str(manifest), "--format", form, "--published", "toy", "--costs"]) == 0
        said[form] = sorted(re.findall(r"\d\.\d{4}", capsys.readouterr().out))
    assert said["markdown"].count("0.5200") == 2
    assert said["markdown"] == said["latex"] == said["console"]


def test_a_page_keeps_quoted_rows_in_a_body_of_their_own(tmp_path, papers):
    three_seeds(tmp_path)
    out = tmp_path / "page.html"
    assert report([str(tmp_path / "sweeps" / "strategies.json"), "--published", "toy", "--out", str(out)]) == 0
    text = out.read_text()
    body = text.split('<tbody class="quoted">')[1].split("</tbody>")[0]
    assert re.findall(r'class="name">(\w+)<sup>(§\d)</sup>', body) == [("Giant", "§1"), ("Small", "§2")]
    assert re.findall("best|second", body) == []
    assert "0.5000 / 0.5200 within 5%" in text
    assert "A &amp; B (2020), table 3." in text


def test_one_row_of_ours_stays_plain_beside_quoted_ones(tmp_path, papers, capsys):
    write_run(tmp_path, "a", NDCG["b"])
    assert "**" not in "".join(table(capsys, tmp_path / "a", "--published", "toy")[1:])
