"""What the laws of the house look at: the text files of the tree, and the syntax trees of its Python files."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

FLOORS = ("datamodules", "lightning_modules", "experiments")
FOLDERS = (*FLOORS, "conf", "tests", "benchmarks", "docs", ".ci")
NOT_OURS = {"__pycache__"}


@dataclass(frozen=True)
class Module:
    """A Python file: its path from the root of the repository, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions, methods and nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def classes(self) -> list[ast.ClassDef]:
        """All classes."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]


def _parse(repository: Path, path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path.relative_to(repository).as_posix(), text, ast.parse(text))


@pytest.fixture(scope="session")
def tree(repository: Path) -> list[Path]:
    """Every file that belongs to the project."""
    top = [path for path in repository.iterdir() if path.is_file() and path.name != ".git"]
    inner = [path for folder in FOLDERS for path in (repository / folder).rglob("*") if path.is_file()]
    files = sorted(path for path in top + inner if not NOT_OURS.intersection(path.parts))
    assert len(files) > 100
    return files


@pytest.fixture(scope="session")
def code(repository: Path) -> list[Module]:
    """The Python files of the three floors and Hydra's plugin, without the empty `__init__.py`."""
    paths = [path for floor in FLOORS for path in sorted((repository / floor).rglob("*.py"))]
    modules = [_parse(repository, path) for path in paths if path.stat().st_size > 0]
    assert len(modules) > 60
    return modules


@pytest.fixture(scope="session")
def tests(repository: Path) -> list[Module]:
    """The Python files under tests/."""
    modules = [_parse(repository, path) for path in sorted((repository / "tests").rglob("*.py"))]
    assert len(modules) > 20
    return modules
