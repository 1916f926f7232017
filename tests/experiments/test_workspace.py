"""The report in W&B, as it would be sent: a stand-in takes the place of the server."""

import json
from types import SimpleNamespace

import pytest
from wandb_workspaces.reports.v2 import interface

from experiments.report import main
from experiments.reports.workspace import setting
from experiments.runs.read import Run
from tests.experiments.fabricated import three_seeds, write_failed

ROWS = ("full-0", "full-1", "full-2", "lora-0", "lora-1", "lora-2")


@pytest.fixture
def sent(monkeypatch):
    """What the server was asked."""
    asked = []

    def execute(api, query, variables=None):
        asked.append(variables)
        if "spec" not in variables:
            return {"project": {"internalId": "p1"}}
        kept = dict(variables) | {"id": "v1", "project": {"name": "lab", "entityName": "team"}}
        return {"upsertView": {"view": kept | {"user": None, "previewUrl": None}}}

    api = SimpleNamespace(default_entity="team", projects=lambda entity: [SimpleNamespace(name="lab")])
    monkeypatch.setattr(interface, "_get_api", lambda: api)
    monkeypatch.setattr(interface, "execute_graphql", execute)
    monkeypatch.setattr(interface, "get_app_url", lambda api: "https://lab.example")
    return asked


def specified(sent):
    return json.loads(next(asked["spec"] for asked in sent if "spec" in asked))


def panels(spec):
    return [panel for block in spec["blocks"] if block["type"] == "panel-grid" for panel in _of(block)]


def _of(block):
    bank = block["metadata"]["panelBankSectionConfig"]
    return bank["panels"]


def test_it_names_the_finished_runs_and_groups_by_all_but_the_seed(tmp_path, sent, capsys):
    three_seeds(tmp_path)
    write_failed(tmp_path, "prefix-0", "prefix", message="broke")
    assert main([str(tmp_path), "--by", "strategy", "--wandb", "team/lab"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("https://lab.example/team/lab/reports/")
    text = json.dumps(specified(sent))
    assert [name for name in ROWS if name in text] == list(ROWS)
    assert "prefix-0" not in text
    grids = [block for block in specified(sent)["blocks"] if block["type"] == "panel-grid"]
    grouping = [runset["grouping"] for grid in grids for runset in grid["metadata"]["runSets"]]
    assert len(grids) == 3
    assert [[key["name"] for key in keys] for keys in grouping] == [["row"], [], []]


def test_it_shows_comparison_curves_costs_and_settings(tmp_path, sent):
    three_seeds(tmp_path)
    main([str(tmp_path), "--by", "strategy", "--wandb", "team/lab"])
    kinds = [panel["viewType"] for panel in panels(specified(sent))]
    assert sorted(set(kinds)) == [
        "Bar Chart",
        "Parallel Coordinates Plot",
        "Run Comparer",
        "Run History Line Plot",
        "Scatter Plot",
    ]
    assert kinds.count("Scatter Plot") == 3
    assert kinds.count("Bar Chart") == 2


def test_a_choice_is_found_by_its_word():
    run = Run("a", "done", provenance={"choices": {"strategy": "lora"}})
    assert setting("strategy", [run]) == "provenance.choices.strategy"
    assert setting("head.tau", [run]) == "head.tau"


@pytest.mark.parametrize("project", ["lab", "team/", "/lab", "team/lab/more"])
def test_a_project_is_named_with_its_owner(tmp_path, project, capsys):
    three_seeds(tmp_path)
    assert main([str(tmp_path), "--by", "strategy", "--wandb", project]) == 1
    assert capsys.readouterr().err == (
        f"report: --wandb takes ENTITY/PROJECT, such as my-team/interestlab; {project!r} is none\n"
    )


def test_what_w_and_b_says_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    def refuse():
        raise Exception("not logged in to W&B, try `wandb login --relogin`")  # as the library does

    three_seeds(tmp_path)
    monkeypatch.setattr(interface, "_get_api", refuse)
    assert main([str(tmp_path), "--by", "strategy", "--wandb", "team/lab"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "not logged in" in line
    assert "leave out --wandb" in line
