"""What every file says, or must not say."""

import ast
import hashlib
import re
from pathlib import Path

import pytest

PICTURES = {".pdf", ".png", ".svg"}
LARGEST_TEXT = 120_000
LARGEST_PICTURE = 1_000_000

# Put together from pieces, so that this file does not hold what it looks for.
MACHINE = "|".join(["wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers", "t" + "mp"])
FORBIDDEN = {
    "a path of somebody's machine": rf"(?<![\w.])/({MACHINE})/",
    "an unfinished piece": r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b",
    "a function that is none": r"\bNot" + r"ImplementedError\b",
    "a package registry's host": r"\b(py" + r"pi\.org|python" + r"hosted\.org|registry\.np" + r"mjs|npm" + r"js\.com)",
    "who wrote it": r"(?i)co-author" + r"ed-by|generated " + r"(by|with) ",
}


def _public(body: list[ast.stmt]) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [node for node in body if isinstance(node, kinds) and not node.name.startswith("_")]


def _lacks(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    bare = [one.arg for one in named if one is not None and one.annotation is None and one.arg not in ("self", "cls")]
    return bare + ([] if function.returns is not None else ["return"])


def _texts(tree: list[Path]) -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in tree if path.suffix not in PICTURES}


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_file_says(what, tree, repository):
    pattern = re.compile(FORBIDDEN[what])
    texts = _texts(tree)
    assert len(texts) > 100
    found = {
        f"{path.relative_to(repository)}:{number}": line.strip()
        for path, text in texts.items()
        if path.name != "LICENSE"
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    }
    assert found == {}, f"{what}: {found}"


def test_everything_a_person_imports_has_a_docstring(code):
    public = [(module.path, node) for module in code for node in _public(module.tree.body)]
    assert len(public) > 200
    assert [f"{path}:{node.lineno} {node.name}" for path, node in public if not ast.get_docstring(node)] == []


def test_every_function_is_annotated(code):
    lacking = {
        f"{module.path}:{function.lineno} {function.name}": _lacks(function)
        for module in code
        for function in module.functions()
        if _lacks(function)
    }
    assert lacking == {}


def test_no_handler_swallows_what_it_caught(code):
    silent = [
        f"{module.path}:{node.lineno}"
        for module in code
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or all(isinstance(statement, ast.Pass) for statement in node.body))
    ]
    assert silent == []


def test_shapes_are_seen_by_the_checker(code):
    """With postponed annotations jaxtyping would see strings, and check nothing."""
    postponed = [
        module.path
        for module in code
        if "from __future__ import annotations" in module.text and "jaxtyping" in module.text
    ]
    assert postponed == []


def test_no_drawer_without_a_name(tree):
    assert [path.name for path in tree if re.fullmatch(r"(utils?|helpers?|misc|common)(\.py)?", path.name)] == []


def test_files_are_text_of_reasonable_size_or_small_pictures(tree, repository):
    sizes = {path.relative_to(repository).as_posix(): path.stat().st_size for path in tree}
    limits = {name: LARGEST_PICTURE if Path(name).suffix in PICTURES else LARGEST_TEXT for name in sizes}
    assert {name: size for name, size in sizes.items() if size > limits[name]} == {}


def test_no_file_of_a_real_corpus_lies_in_the_repository(tree, data_dir):
    """Most of their licences forbid redistribution."""
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert len(files) >= 10
    sizes = {path.stat().st_size for path in files}
    ours = {path: hashlib.sha256(path.read_bytes()).digest() for path in tree if path.stat().st_size in sizes}
    theirs = {hashlib.sha256(path.read_bytes()).digest() for path in files if path.stat().st_size < LARGEST_PICTURE}
    assert [path for path, digest in ours.items() if digest in theirs and path.stat().st_size > 0] == []
