"""Find and read Python source without importing it, so that a program which only starts others stays light.

Importing torch costs seconds; reading the one file that defines a class costs milliseconds.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

Binding = (
    ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
)


@dataclass(frozen=True, eq=False)
class Module:
    """One parsed file. names: what its top level binds, also within `if` and `try`; stars: modules imported by `*`."""

    name: str
    package: str
    names: dict[str, Binding]
    stars: tuple[str, ...]


def find_spec(name: str) -> ModuleSpec | None:
    """The module's spec. Unlike `importlib.util.find_spec`, parents are walked and not imported."""
    head, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(head)
    except ValueError:  # a module that is loaded but has no spec, such as __main__ of a script
        spec = PathFinder.find_spec(head, sys.path)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    return spec


def load(name: str) -> Module | None:
    """Parse the module `name`; None where there is none or it is not written in Python."""
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    path = Path(spec.origin)
    return _parse(name, package, path, path.stat().st_mtime_ns)


@cache
def _parse(name: str, package: str, path: Path, _mtime: int) -> Module:
    names: dict[str, Binding] = {}
    stars: list[str] = []
    for statement in _top_level(ast.parse(path.read_bytes(), str(path)).body):
        for bound in _bound(statement):
            if bound == "*" and isinstance(statement, ast.ImportFrom):
                stars.append(_absolute(statement, package))
            else:
                names.setdefault(bound, statement)
    return Module(name, package, names, tuple(stars))


def _top_level(body: list[ast.stmt]) -> Iterator[Binding]:
    for statement in body:
        if isinstance(statement, Binding):
            yield statement
        elif isinstance(statement, ast.If | ast.Try):
            yield from _top_level(statement.body + statement.orelse)


def _bound(statement: Binding) -> list[str]:
    match statement:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return [statement.name]
        case ast.Import():
            return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
        case ast.ImportFrom():
            return [alias.asname or alias.name for alias in statement.names]
        case ast.Assign():
            return [target.id for target in statement.targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    if not statement.level:
        return statement.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - statement.level + 1]
    return ".".join([*parts, statement.module] if statement.module else parts)


def definition(module: Module, name: str) -> tuple[Module, ast.ClassDef | ast.FunctionDef] | None:
    """Where `name`, as `module` knows it, is defined: imports are followed to the class or function."""
    return _follow(module, name, frozenset())


def _follow(
    module: Module, name: str, seen: frozenset[tuple[str, str]]
) -> tuple[Module, ast.ClassDef | ast.FunctionDef] | None:
    if (module.name, name) in seen:
        return None
    seen |= {(module.name, name)}
    match module.names.get(name):
        case (ast.ClassDef() | ast.FunctionDef()) as found:
            return module, found
        case ast.ImportFrom() as found:
            original = next(alias.name for alias in found.names if (alias.asname or alias.name) == name)
            return _follow_into([_absolute(found, module.package)], original, seen)
        case None:
            return _follow_into(module.stars, name, seen)
    return None


def _follow_into(
    modules: tuple[str, ...] | list[str], name: str, seen: frozenset[tuple[str, str]]
) -> tuple[Module, ast.ClassDef | ast.FunctionDef] | None:
    for other in modules:
        target = load(other)
        found = _follow(target, name, seen) if target else None
        if found:
            return found
    return None


def base_definition(module: Module, base: ast.expr) -> tuple[Module, ast.ClassDef] | None:
    """The class that a `class X(base)` names, where its source can be found: `Base`, `nn.Module`, `Base[T]`."""
    if isinstance(base, ast.Subscript):
        base = base.value
    found = None
    if isinstance(base, ast.Name):
        found = definition(module, base.id)
    elif isinstance(base, ast.Attribute):
        owner = load(_module_named(module, ast.unparse(base.value)))
        found = definition(owner, base.attr) if owner else None
    return (found[0], found[1]) if found and isinstance(found[1], ast.ClassDef) else None


def _module_named(module: Module, dotted: str) -> str:
    head, _, rest = dotted.partition(".")
    match module.names.get(head):
        case ast.ImportFrom() as statement:
            original = next(alias.name for alias in statement.names if (alias.asname or alias.name) == head)
            head = f"{_absolute(statement, module.package)}.{original}"
        case ast.Import() as statement:
            head = next((alias.name for alias in statement.names if alias.asname == head), head)
    return f"{head}.{rest}" if rest else head
