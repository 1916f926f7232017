"""Who may import whom, and from where: the contracts of pyproject.toml, and what they cannot say."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PROBE = "import sys, {module}; print(sorted(set({heavy!r}) & set(sys.modules)))"
LIGHT = {
    "datamodules.corpus": ("torch", "transformers", "ibis", "duckdb"),
    "datamodules.preparing.prepared": ("torch", "transformers", "ibis", "duckdb"),
    "datamodules.preparing.preparation": ("torch", "transformers", "ibis", "duckdb"),
    "datamodules.pretrained": ("torch", "transformers", "huggingface_hub"),
    "datamodules.interest_datamodule, lightning_modules.interest_module": (
        "hydra",
        "omegaconf",
        "wandb",
        "ibis",
        "duckdb",
    ),
    "experiments.adapt": ("torch", "transformers", "pytorch_lightning", "ibis", "duckdb"),
    "experiments.train": ("torch", "transformers", "pytorch_lightning", "ibis", "duckdb"),
    "experiments.job": ("hydra",),
}
# Where the name to import is not the name to install.
DISTRIBUTIONS = {
    "hydra": "hydra-core",
    "ibis": "ibis-framework",
    "duckdb": "ibis-framework",
    "lightning_fabric": "pytorch-lightning",
    "lightning_utilities": "pytorch-lightning",
    "mlflow": "mlflow-skinny",
    "pynvml": "nvidia-ml-py",
    "yaml": "pyyaml",
}


def _imported(module: ast.Module) -> set[str]:
    plain = {alias.name for node in ast.walk(module) if isinstance(node, ast.Import) for alias in node.names}
    from_ = {str(node.module) for node in ast.walk(module) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in plain | from_}


def _declared(repository: Path, *more: str) -> set[str]:
    """What tests install, and the extras named in `more`."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    tested = ("demo", "energy", "joblib", "mlflow", "ray", "retrieval", "slurm", "tensorboard")
    wanted = project["dependencies"] + [one for extra in (*tested, *more) for one in extras[extra]]
    return {_normal(re.split(r"[\[<>=~! ]", one)[0]) for one in wanted}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def test_the_import_contracts_hold(repository, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    assert lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out


def test_every_package_that_is_imported_is_declared(code, repository):
    names = set().union(*(_imported(module.tree) for module in code))
    floors = {"datamodules", "lightning_modules", "experiments"}
    foreign = names - set(sys.stdlib_module_names) - floors
    assert len(foreign) >= 8
    declared = _declared(repository, "energy", "mlflow", "ray")
    missing = {name for name in foreign if DISTRIBUTIONS.get(name, _normal(name)) not in declared}
    assert missing == set()


def test_every_dependency_has_an_exact_version(repository):
    lines = (repository / "constraints.txt").read_text("utf-8").splitlines()
    pinned = dict(_normal(line).split("==") for line in lines if line and not line.startswith("#"))
    assert pinned["torch"] == "2.13.0"
    assert _declared(repository) - set(pinned) == set()


@pytest.mark.parametrize("module", sorted(LIGHT))
def test_what_a_module_leaves_alone(module, repository):
    """Importing it starts none of these: it takes seconds, or asks for what is not installed."""
    probe = PROBE.format(module=module, heavy=LIGHT[module])
    done = subprocess.run([sys.executable, "-c", probe], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
