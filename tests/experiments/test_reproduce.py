"""Tables that are made again: which runs, with which words, and whether a cell is as it was."""

import json
import math
from pathlib import Path

import pytest

from experiments import reproduce
from experiments.config.compose import compose
from experiments.reproduce import main, options, understood
from experiments.reproduction import expectation
from experiments.reproduction import runs as making
from experiments.reproduction.evidence import keep_evidence
from experiments.reproduction.expectation import Cell, Expected, compare, expect, found_in
from experiments.reproduction.runs import ProgramError, merged, seeded_again, split
from experiments.reproduction.spec import SCALES, Again, names, parse, read_spec
from experiments.runs.plan import plan_words
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run, read_run
from experiments.runs.sweep import expand
from experiments.tables.rows import Row
from tests.experiments.fabricated import write_run, write_sweep

TABLES = [
    "baselines_beauty",
    "heads_beauty",
    "iisan_cost",
    "strategies_beauty",
    "strategies_beauty_small",
    "strategies_ml100k",
]
STRATEGIES = sorted(path.stem for path in (ROOT / "conf" / "strategy").glob("*.yaml"))


def test_the_tables_are_these():
    assert names() == TABLES


@pytest.mark.parametrize("scale", ["full", "smoke"])
@pytest.mark.parametrize("name", TABLES)
def test_every_job_of_every_table_composes(name, scale):
    """And has one name each: what a row is called tells it from the others."""
    table = read_spec(name)
    for grid in table.grids:
        words = merged(grid, table.scales[scale])
        jobs = [job for sweep in split(words, table.each, "x") for job in expand(sweep, None)]
        assert len({tuple(job) for job in jobs}) == len(jobs)
        compose(jobs[-1])


def test_the_table_of_strategies_has_every_strategy():
    (grid,) = read_spec("strategies_ml100k").grids
    (word,) = [word for word in grid if word.startswith("strategy=")]
    assert sorted(word.partition("=")[2].split(",")) == STRATEGIES
    assert len(STRATEGIES) == 26


def test_words_take_the_place_of_their_like():
    words = ["a=1", "b=2", "+c.d=3", "~e"]
    assert merged(words, ["b=4", "++c.d=5"]) == ["a=1", "b=4", "++c.d=5", "~e"]
    assert merged(words, ["~a", "~f"]) == ["b=2", "+c.d=3", "~e", "~f"]


def test_a_grid_is_split_into_sweeps_that_are_named_apart():
    assert split(["s=x,y", "r=1,2"], "s", "t-0") == [
        ["r=1,2", "s=x", "name=t-0-x"],
        ["r=1,2", "s=y", "name=t-0-y"],
    ]
    assert split(["r=1"], "s", "t-0") == [["r=1", "name=t-0"]]
    assert split(["r=1"], "", "t-0") == [["r=1", "name=t-0"]]


def test_the_best_and_those_that_are_always_there_get_more_seeds(tmp_path):
    """By hand: validation prefers c then a; b is there because it always is, d is neither, e failed."""
    valid = {"a": 0.3, "b": 0.01, "c": 0.4, "d": 0.2}
    jobs = []
    for name, score in valid.items():
        for rate, less in (("low", 0.0), ("high", 0.1 if name == "c" else -0.05)):
            run = f"{name}-{rate}"
            words = [f"strategy={name}", f"rate={rate}", "parents=[p]", "seed=0"]
            write_run(tmp_path, run, metrics={"valid/ndcg@10": score - less, "test/ndcg@10": 0.1}, overrides=words)
            jobs.append((run, words))
    manifest = write_sweep(tmp_path, "one", jobs)
    table = parse("t", RECORD | {"pick": "rate"}, Path("t.yaml"))
    made = seeded_again(
        table, Again("strategy", 2, ("b",), (1, 2)), [manifest], ["~rank", "strategy=a,b,c,d", "runs_dir=x"], "smoke"
    )
    assert made == [
        [f"strategy={name}", f"rate={rate}", "seed=1,2", "runs_dir=x", f"name=t-smoke-seeds-{name}"]
        for name, rate in (("c", "low"), ("a", "high"), ("b", "high"))
    ]


def test_where_less_is_better_the_lowest_get_more_seeds(tmp_path):
    for name, loss in (("a", 2.0), ("b", 1.0), ("c", math.nan)):
        write_run(tmp_path, name, metrics={"valid/loss": loss}, overrides=[f"strategy={name}", "seed=0"])
    manifest = write_sweep(tmp_path, "one", [(name, [f"strategy={name}", "seed=0"]) for name in "abc"])
    table = parse("t", RECORD | {"monitor": "valid/loss"}, Path("t.yaml"))
    (made,) = seeded_again(table, Again("strategy", 1, (), (1,)), [manifest], [], "smoke")
    assert made[0] == "strategy=b"


def test_a_figure_that_cannot_be_drawn_is_a_failure(tmp_path, monkeypatch):
    """At smoke scale of runs that were made before: they keep no epochs to draw."""
    write_run(tmp_path, "lora")
    manifest = write_sweep(tmp_path, "one", [("lora", ["strategy=lora"])])
    table = parse("t", RECORD | {"figures": {"learning": "learning"}}, Path("t.yaml"))
    monkeypatch.setattr(reproduce, "make_runs", lambda *words: [manifest])
    with pytest.raises(ProgramError, match=r"learning.png was not drawn"):
        reproduce.reproduce(reproduce.Request(table, "smoke", 1, tmp_path / "out", False, "", ()))


RECORD = {
    "says": "what",
    "hardware": "a machine",
    "time": "an hour",
    "grids": ["a=1"],
    "by": "strategy",
    "metrics": "test/hr@10",
    "scales": {"full": None, "smoke": "b=2"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerance": 1}, "t.yaml: unknown: tolerance; keys are"),
        ({"says": None}, "t.yaml: missing: says; keys are"),
        ({"scales": {"full": ""}}, "scales are full; they are full, smoke"),
    ],
)
def test_a_faulty_file_is_refused_by_its_name(change, message):
    record = {key: value for key, value in (RECORD | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        parse("t", record, Path("t.yaml"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scale=smoke"], "say which table: table=baselines_beauty|"),
        (["table=heads_beuty"], "there is no table 'heads_beuty'; did you mean 'heads_beauty'?"),
        (["table=heads_beauty", "scale=big"], "scale is big; it is full or smoke"),
        (["table=heads_beauty", "workers=0"], "workers is 0; at least one sweep"),
    ],
)
def test_a_request_that_cannot_be_met_is_told_in_one_line(words, message, capsys):
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_other_words_go_to_the_runs():
    request = understood(["table=heads_beauty", "runs_dir=/big", "seed=1", "workers=3", "record=true"])
    assert (request.own, request.workers, request.record) == (("seed=1", "runs_dir=/big"), 3, True)
    assert request.out == Path("/big/tables/heads_beauty-full")


def test_folders_are_meant_from_where_the_person_is_and_by_default_in_the_clone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = understood(["table=heads_beauty", "data_dir=raw", "runs_dir=my"]).own
    assert set(own) == {f"data_dir={tmp_path / 'raw'}", f"runs_dir={tmp_path / 'my'}"}
    request = understood(["table=heads_beauty"])
    assert request.own == (f"runs_dir={ROOT / 'runs'}",)
    assert request.out == ROOT / "runs" / "tables" / "heads_beauty-full"


@pytest.mark.parametrize("begun", [False, True])
def test_a_dry_run_says_what_would_run_of_what_the_parent_is_known_of(begun, tmp_path, capfd, monkeypatch):
    """Every sweep is asked what would run; what begins from a run is named by it once it is there."""
    asked = []
    monkeypatch.setattr(making, "_show", lambda words, workers: asked.append(words))
    table = read_spec("iisan_cost")
    own = [f"runs_dir={tmp_path}"]
    if begun:
        folder = plan_words(making.first(table, (*table.scales["smoke"], *own))).folder
        folder.path.mkdir(parents=True)
        folder.write("result.json", {"status": "done"})
    assert main(["table=iisan_cost", "scale=smoke", "dry_run=true", *own]) == 0
    first, *sweeps = asked
    assert "-m" not in first
    assert {words[0] for words in sweeps} == {"-m"}
    assert all(words[-1] == "dry_run=true" for words in asked)
    assert {any(word.startswith("parents=") for word in words) for words in sweeps} == {begun}
    assert ("told as if from nothing" in capfd.readouterr().out) != begun


def test_papers_stand_beside_the_full_table_alone():
    """At smoke scale the data are simulated."""
    table = read_spec("heads_beauty")
    quoted = [options(table, scale, [Path("sweep.json")]).published for scale in SCALES]
    assert dict(zip(SCALES, quoted, strict=True)) == {"full": ["amazon_beauty"], "smoke": []}


def test_without_words_it_says_what_there_is(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in TABLES)


def run_of(value, seed=0, count=100):
    intervals = {"test/hr@10": (value - 0.02, value + 0.04)}
    cost = {"trainable_parameters": count, "flops_per_step": 500.0, "seconds_per_epoch": 3.0}
    config = {"seed": seed}
    return Run(f"r{value}", "done", None, (), config, {"test/hr@10": value}, intervals, cost)


def row(label, *runs):
    return Row((label, "picked"), tuple(runs), ())


def test_tolerance_is_three_pooled_deviations_over_seeds():
    """By hand: deviations (.01, -.01) and (.02, 0, -.02) from their means: sqrt((2e-4 + 8e-4) / (1 + 2)) = .018257."""
    rows = [
        row("a", run_of(0.51), run_of(0.49, 1)),
        row("b", run_of(0.32), run_of(0.30, 1), run_of(0.28, 2)),
        row("c", run_of(0.2)),
    ]
    cells = expect(rows, 1, ["test/hr@10"])
    assert cells["a"]["test/hr@10"].value == pytest.approx(0.5)
    assert {round(cells[name]["test/hr@10"].tolerance, 5) for name in "abc"} == {0.05477}
    assert cells["c"]["trainable_parameters"] == Expected(100.0, 0.0)


def test_of_costs_those_are_judged_that_are_not_the_machine_s():
    cells = expect([row("a", run_of(0.5))], 1, [])
    assert cells == {"a": {"trainable_parameters": Expected(100.0, 0.0), "flops_per_step": Expected(500.0, 5.0)}}


def test_without_seeds_tolerance_is_half_the_interval():
    assert expect([row("a", run_of(0.5))], 1, ["test/hr@10"])["a"]["test/hr@10"].tolerance == pytest.approx(0.03)


def test_verdicts():
    expected = {"a": {"x": Expected(0.5, 0.1)}, "gone": {"x": Expected(0.5, 0.1)}}
    cells = compare({"a": {"x": 0.59, "y": 1.0}, "b": {"x": 0.1}}, expected)
    assert [(cell.row, cell.name, cell.verdict) for cell in cells] == [
        ("a", "x", "OK"),
        ("gone", "x", "FAIL"),
        ("a", "y", "new"),
        ("b", "x", "new"),
    ]
    assert Cell("a", "x", 0.61, Expected(0.5, 0.1)).verdict == "FAIL"


def test_what_is_stored_is_what_is_read(tmp_path):
    rows = [row("a", run_of(0.5))]
    cells = expect(rows, 1, ["test/hr@10"])
    expectation.write(tmp_path / "made" / "e.json", cells, rows[0].done)
    assert expectation.read(tmp_path / "made" / "e.json") == cells
    assert expectation.read(tmp_path / "none.json") == {}
    assert [cell.verdict for cell in compare(found_in(rows, 1, ["test/hr@10"]), cells)] == ["OK", "OK", "OK"]


def test_evidence_has_also_what_the_runs_began_from(tmp_path: Path) -> None:
    write_run(tmp_path, "adapted")
    write_run(tmp_path, "head", provenance={"parents": ["adapted"]})
    write_run(tmp_path, "lora", provenance={"parents": ["adapted", "head"]})
    keep_evidence([read_run(tmp_path / "lora")], tmp_path / "kept")
    assert {path.stem for path in (tmp_path / "kept" / "runs").iterdir()} == {"adapted", "head", "lora"}


def test_evidence_of_runs_that_the_table_no_longer_has_goes(tmp_path):
    lora, full = (read_run(write_run(tmp_path, name)) for name in ("lora", "full"))
    keep_evidence([lora, full], tmp_path / "kept")
    keep_evidence([full], tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept" / "runs").iterdir()] == ["full.json"]


def test_evidence_says_nothing_of_the_machine_that_it_was_made_on(tmp_path):
    place = tmp_path / "runs"
    folders = {"data_dir": f"{tmp_path}/corpora", "runs_dir": str(place), "cache_dir": f"{place}/cache"}
    changes = {**folders, "source": {"data_dir": folders["data_dir"]}, "code": f"{ROOT}/conf"}
    write_run(place, "lora", changes=changes)
    keep_evidence([read_run(place / "lora")], tmp_path / "kept")
    kept = json.loads((tmp_path / "kept" / "runs" / "lora.json").read_text())
    assert [kept["config"][name] for name in folders] == ["data", "runs", "runs/cache"]
    assert kept["config"]["source"] == {"data_dir": "data"}
    assert kept["config"]["code"] == "./conf"
    assert kept["metrics"] == json.loads((place / "lora" / "result.json").read_text())["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_table_at_smoke_scale_comes_to_its_end_and_says_ok(name, tmp_path, capfd):
    """Every cell is as it is stored; made again it reuses all runs."""
    words = [f"table={name}", "scale=smoke", f"runs_dir={tmp_path}", "workers=2"]
    assert main(words) == 0
    out = capfd.readouterr().out
    assert " 0 FAIL, 0 without an expectation." in out
    made = Path(out.splitlines()[-1])
    figures = {f"{stem}.{form}" for stem in read_spec(name).figures for form in ("png", "pdf")}
    assert {"table.md", "table.tex", "table.csv", "runs", *figures} == {path.name for path in made.iterdir()}
    results = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/result.json")}
    assert len(list((made / "runs").glob("*.json"))) >= 2
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/result.json")} == results
