"""`_target_` is the registry: heads/graph.py holds GraphHead, and conf/head/graph.yaml names it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

# The folder of a seam's YAML: the package of its Python files, and the word that ends a class name.
SEAMS = {
    "text": ("datamodules.text", "Text"),
    "split": ("datamodules.splits", "Split"),
    "objective": ("datamodules.objectives", "Objective"),
    "candidates": ("datamodules.candidates", "Candidates"),
    "backbone": ("lightning_modules.backbones", "Backbone"),
    "adaptation": ("lightning_modules.adaptations", "Adaptation"),
    "strategy": ("lightning_modules.strategies", "Strategy"),
    "interest": ("lightning_modules.interests", "Interest"),
    "head": ("lightning_modules.heads", "Head"),
    "loss": ("lightning_modules.losses", "Loss"),
    "scorer": ("lightning_modules.scorers", "Scorer"),
}
# Reached from inside another YAML: a source from a datamodule, a metric from a protocol.
INNER = {"datamodules.sources": "Source", "lightning_modules.metrics": "Metric"}
OURS = ("datamodules.", "lightning_modules.", "experiments.")


def _class_name(module: str, seam: str) -> str:
    return "".join(word.capitalize() for word in module.rsplit(".", 1)[1].split("_")) + seam


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _yamls(repository: Path) -> dict[str, Any]:
    files = sorted((repository / "conf").rglob("*.yaml"))
    assert len(files) > 40
    return {file.relative_to(repository / "conf").as_posix(): yaml.safe_load(file.read_text("utf-8")) for file in files}


def _defined(repository: Path, target: str) -> bool:
    module, name = target.rsplit(".", 1)
    file = repository / (module.replace(".", "/") + ".py")
    kinds = ast.ClassDef | ast.FunctionDef
    return file.is_file() and any(
        isinstance(node, kinds) and node.name == name for node in ast.parse(file.read_text("utf-8")).body
    )


@pytest.mark.parametrize("group", sorted(SEAMS))
def test_a_choice_is_named_after_its_file(group, repository):
    package, seam = SEAMS[group]
    choices = {name: content for name, content in _yamls(repository).items() if name.startswith(f"{group}/")}
    assert choices, f"conf/{group} is empty"
    for name, content in choices.items():
        module, class_ = content.get(group, content)["_target_"].rsplit(".", 1)  # a strategy's has its rates beside it
        assert module.rsplit(".", 1)[0] == package, name
        assert class_ == _class_name(module, seam), name


def test_every_corpus_is_the_one_datamodule_with_a_source(repository):
    choices = [content for name, content in _yamls(repository).items() if name.startswith("datamodule/")]
    assert len(choices) >= 4
    for content in choices:
        assert content["_target_"] == "datamodules.interest_datamodule.InterestDataModule"
        module, class_ = content["source"]["_target_"].rsplit(".", 1)
        assert module.startswith("datamodules.sources.")
        assert class_ == _class_name(module, "Source")


def test_a_target_names_the_module_that_defines_it(repository):
    targets = {target for content in _yamls(repository).values() for target in _targets(content)}
    ours = sorted(target for target in targets if target.startswith(OURS))
    assert len(ours) >= 30
    assert [target for target in ours if not _defined(repository, target)] == []


def test_every_part_of_a_seam_can_be_chosen(repository):
    """A class that bears a seam's name is the target of some YAML."""
    targets = {target for content in _yamls(repository).values() for target in _targets(content)}
    packages = dict(SEAMS.values()) | INNER
    parts = [
        f"{package}.{file.stem}.{_class_name(f'{package}.{file.stem}', seam)}"
        for package, seam in packages.items()
        for file in sorted((repository / package.replace(".", "/")).glob("[!_]*.py"))
    ]
    parts = [part for part in parts if _defined(repository, part)]
    assert len(parts) >= 30
    assert [part for part in parts if part not in targets] == []


def test_every_yaml_begins_by_saying_what_it_is(repository):
    files = sorted((repository / "conf").rglob("*.yaml"))
    lines = {file: [line for line in file.read_text("utf-8").splitlines() if "@package" not in line] for file in files}
    silent = [file.name for file, text in lines.items() if not text or not text[0].startswith("# ")]
    assert silent == []


def test_class_names_follow_the_file():
    assert _class_name("lightning_modules.heads.graph", "Head") == "GraphHead"
    assert _class_name("datamodules.splits.leave_one_out", "Split") == "LeaveOneOutSplit"
