"""Functions and files stay small enough to be read at once. Docstrings count; decorators do not."""

import ast
from statistics import quantiles

import pytest

CONSTRUCTOR_ARGUMENTS = 12


def _share(values: list[int], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _function_lines(modules: list) -> dict[str, int]:
    return {
        f"{module.path}:{function.lineno} {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for module in modules
        for function in module.functions()
    }


def _file_lines(modules: list) -> dict[str, int]:
    return {module.path: module.text.count("\n") for module in modules}


def test_functions_are_short(code):
    lines = _function_lines(code)
    assert len(lines) > 300
    assert _share(list(lines.values()), 50) <= 12
    assert _share(list(lines.values()), 90) <= 35
    assert {name: length for name, length in lines.items() if length > 50} == {}


def test_files_are_short(code):
    lines = _file_lines(code)
    assert _share(list(lines.values()), 50) <= 120
    assert _share(list(lines.values()), 90) <= 220
    assert {path: length for path, length in lines.items() if length > 300} == {}


def test_tests_are_short(tests):
    assert {name: length for name, length in _function_lines(tests).items() if length > 50} == {}
    assert {path: length for path, length in _file_lines(tests).items() if length > 300} == {}


def test_a_constructor_takes_at_most_twelve_arguments(code):
    """More is a missing seam. A dataclass's fields are its arguments; records of data are not constructed by people."""
    many = {}
    for module in code:
        for class_ in module.classes():
            init = [node for node in class_.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
            count = sum(len(node.args.args) + len(node.args.kwonlyargs) - 1 for node in init)
            if count > CONSTRUCTOR_ARGUMENTS:
                many[f"{module.path}: {class_.name}"] = count
    assert many == {}


@pytest.mark.parametrize("percent", [50, 90])
def test_the_measure_itself(percent):
    assert _share(list(range(101)), percent) == percent
