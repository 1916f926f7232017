"""The page of a sweep: what it says, that it needs nothing from outside, and that a browser can work with it."""

import json
import math
import re
import shutil
from html.parser import HTMLParser

import pytest

from experiments.report import main
from experiments.reports.html import Page, html
from experiments.reports.lines import Lines, lines_of
from experiments.runs.read import Run
from experiments.tables import published
from experiments.tables.grid import Cell, Grid, Report
from tests.experiments.fabricated import PAPER, three_seeds, write_failed, write_run

VOID = {"meta", "link", "input", "img", "br"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The file of six finished runs and a failed one."""
    root = tmp_path_factory.mktemp("report")
    three_seeds(root)
    write_failed(root, "prefix-0", "prefix", message="it <broke> & fell")
    for name in ("lora-0", "lora-1", "lora-2"):
        epochs = [{"epoch": epoch, "valid/ndcg@10": 0.1 * epoch} for epoch in range(3)]
        (root / name / "epochs.json").write_text(json.dumps(epochs))
    out = root / "page.html"
    assert main([str(root), "--by", "strategy", "--reference", "strategy=full", "--out", str(out)]) == 0
    return out


class Elements(HTMLParser):
    """Checks that every element is closed in its turn."""

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("href", "src") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_element_is_closed_and_nothing_is_fetched(page):
    parser = Elements()
    parser.feed(page.read_text())
    assert parser.open == []
    assert len(parser.links) > 5
    assert [link for link in parser.links if not link.startswith(("#", "data:"))] == []
    assert re.findall(r"(?:src|href|url\()\s*=?\s*[\"']?https?:", page.read_text()) == []


def test_what_a_run_says_is_text_and_no_markup(page):
    text = page.read_text()
    assert "it &lt;broke&gt; &amp; fell" in text
    assert "<broke>" not in text


def test_every_run_has_a_place_of_its_own(page):
    text = page.read_text()
    runs = [f"{name}-{seed}" for name in ("lora", "full") for seed in range(3)] + ["prefix-0"]
    assert [run for run in runs if text.count(f'<details id="run-{run}">') != 1] == []
    assert "6 of 7 runs are done." in text


def test_figures_are_those_that_the_runs_can_fill(page, tmp_path, capsys):
    text = page.read_text()
    assert text.count("data:image/svg+xml;base64,") == 4
    write_run(tmp_path, "lora")
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "no figure of valid/ndcg@10 after each epoch" in said.err
    assert said.out.splitlines()[-1] == str(tmp_path / "table.html")


def test_lines_run_over_words_and_numbers():
    cost = {"seconds_per_epoch": 5.0}
    runs = [
        Run("a", "done", None, ("strategy=lora", "rank=8"), {"backbone": {}}, {"test/ndcg@10": 0.5}, cost=cost),
        Run("b", "done", None, ("strategy=full",), {"backbone": {}}, {"test/ndcg@10": 0.25}, cost=cost),
        Run("c", "failed", None, ("strategy=ia3",)),
    ]
    lines = lines_of(runs, ["strategy", "rank"], ["test/ndcg@10"], ["seconds_per_epoch"])
    assert lines == Lines(
        ("strategy", "rank", "test/ndcg@10", "seconds_per_epoch"),
        {"a": ("lora", 8.0, 0.5, 5.0), "b": ("full", None, 0.25, 5.0)},
    )
    record = lines.record()
    assert record["axes"][:3] == [
        {"name": "strategy", "words": ["lora", "full"]},
        {"name": "rank", "low": 8.0, "high": 8.0},
        {"name": "test/ndcg@10", "low": 0.25, "high": 0.5},
    ]
    assert len({line["colour"] for line in record["lines"]}) == 2


def test_what_is_no_number_leaves_the_page_readable(tmp_path):
    """JSON has neither NaN nor infinity, and a script that stumbles over one shows nothing."""
    runs = [
        Run("a", "done", None, ("head.tau=inf",), {}, {"valid/loss": math.nan}),
        Run("b", "done", None, ("head.tau=1",), {}, {"valid/loss": 2.0}),
    ]
    lines = lines_of(runs, ["head.tau"], ["valid/loss"], [])
    assert lines.values == {"a": ("inf", None), "b": (1.0, 2.0)}
    assert json.loads(json.dumps(lines.record(), allow_nan=False))["axes"][1]["high"] == 2.0
    grid = Grid("t", ("a",), ((Cell("nan", number=math.nan),), (Cell("2", number=2.0),)), names=0)
    text = html(Page("t", Report((grid,), (), ()), (), lines, tuple(runs)))
    assert re.findall("data-value=.*?>", text) == ['data-value="2.0">']


def test_rows_of_other_queries_have_a_page_without_wins(tmp_path, capsys):
    write_run(tmp_path, "lora")
    write_run(tmp_path, "full", strategy="full", provenance={"data_digest": "e" * 16})
    out = tmp_path / "page.html"
    words = ["--by", "strategy", "--mixed", "--reference", "strategy=full", "--out", str(out)]
    assert main([str(tmp_path), *words]) == 0
    assert "who wins" not in out.read_text()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium without network."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened.new_context(offline=True)
        opened.close()


@pytest.fixture
def shown(browser, page):
    """The page in the browser; whatever it complains of fails the test."""
    tab, complaints = browser.new_page(), []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("requestfailed", lambda request: complaints.append(request.url))
    tab.goto(page.as_uri())
    yield tab
    tab.close()
    assert complaints == []


def names(tab):
    return tab.locator("#results table.sortable").first.locator("tbody tr:visible td:first-child").all_inner_texts()


def test_a_click_on_a_head_sorts_and_another_turns_it_round(shown):
    head = shown.locator("#results th", has_text="test/ndcg@10").first
    head.locator("button").click()
    assert names(shown) == ["full", "lora", "prefix(a)"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert names(shown) == ["lora", "full", "prefix(a)"]  # what failed has no number and stands behind, either way
    assert head.get_attribute("aria-sort") == "descending"


def test_rows_are_filtered_by_what_they_say(shown):
    shown.get_by_label("filter rows").fill("LORA 0.5")
    assert names(shown) == ["lora"]
    shown.get_by_label("filter rows").fill("")
    assert len(names(shown)) == 3


def test_quoted_rows_are_sorted_and_filtered_below_ours(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    (tmp_path / "toy.yaml").write_text(PAPER)
    manifest, out = three_seeds(tmp_path), tmp_path / "page.html"
    assert main([str(manifest), "--published", "toy", "--out", str(out)]) == 0
    tab = browser.new_page()
    tab.goto(out.as_uri())
    head = tab.locator("#results th", has_text=re.compile(r"^test/ndcg@10$")).first
    head.locator("button").click()
    assert names(tab) == ["full", "lora", "Small§2§3", "Giant§1"]
    head.locator("button").click()
    assert names(tab) == ["lora", "full", "Giant§1", "Small§2§3"]
    tab.get_by_label("filter rows").fill("giant")
    assert names(tab) == ["Giant§1"]
    tab.close()


def test_the_folded_table_sorts_by_number_too(browser, tmp_path):
    assert main([str(three_seeds(tmp_path)), "--by", "strategy", "--out", str(tmp_path / "page.html")]) == 0
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    folded = tab.locator("#results details", has_text="Paired differences").first
    folded.locator("summary").click()
    by, differences = folded.locator("th", has_text=re.compile("^difference$")), folded.locator("tbody td:nth-child(5)")
    by.locator("button").click()
    assert differences.all_inner_texts() == ["-0.2778", "-0.2500"]  # as words they stand the other way round
    by.locator("button").click()
    assert differences.all_inner_texts() == ["-0.2500", "-0.2778"]
    tab.close()


def test_settings_sort_as_numbers_and_not_by_their_digits(browser, tmp_path):
    for place, tau in enumerate((0.2, 0.05, 0.01, 1.0)):
        head = {"_target_": "lightning_modules.heads.graph.GraphHead", "tau": tau}
        write_run(tmp_path, f"a-{place}", changes={"head": head}, overrides=[f"head.tau={tau}"])
    assert main([str(tmp_path), "--by", "head.tau", "--out", str(tmp_path / "page.html")]) == 0
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    tab.locator("#results th", has_text=re.compile(r"^head\.tau$")).first.locator("button").click()
    assert names(tab) == ["0.01", "0.05", "0.2", "1.0"]
    tab.close()


def test_a_link_to_a_run_opens_it(shown):
    place = shown.locator("#run-lora-1")
    assert place.get_attribute("open") is None
    shown.evaluate("location.hash = 'run-lora-1'")
    place.get_by_text("test/ndcg@10").first.wait_for(state="visible")


def test_a_line_is_drawn_for_every_finished_run(shown):
    assert shown.locator("#lines path").count() == 6
    assert shown.locator("#lines path title").first.text_content() in {
        f"{n}-{s}" for n in ("lora", "full") for s in range(3)
    }
