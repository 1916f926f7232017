"""The schema of a `_target_`: its signature, read from source without importing it.

Understood are plain classes, dataclasses, functions and classes that inherit their constructor; decorators are looked
through. What cannot be read (no source, a constructor made at run time) takes anything.
"""

import ast
import difflib
import pkgutil
from dataclasses import dataclass, field

from experiments.config import source
from experiments.config.source import Module


class TargetError(LookupError):
    """A `_target_` that names nothing; the message says the nearest thing there is."""


@dataclass(frozen=True)
class Missing:
    """The default of an argument that must be given."""


@dataclass(frozen=True)
class Computed:
    """A default that is not a literal: only its text is known, so no value of a YAML equals it."""

    text: str


@dataclass(frozen=True)
class Parameter:
    """One keyword argument. compared: False for a dataclass's `field(compare=False)`, which changes no result."""

    name: str
    annotation: ast.expr | None = None
    default: object = field(default_factory=Missing)
    compared: bool = True

    @property
    def required(self) -> bool:
        return isinstance(self.default, Missing)


@dataclass(frozen=True)
class Signature:
    """Arguments of a target by name. takes_anything: it has **kwargs, or its source says nothing.

    module: the file that annotations refer to; None where the source says nothing.
    """

    name: str
    parameters: dict[str, Parameter]
    takes_anything: bool
    module: Module | None


NOTHING = Signature("object", {}, False, None)


def signature(target: str) -> Signature:
    """The signature behind `package.module.Name`. Raises `TargetError` where there is no such thing.

    The module must be the defining one: with two spellings of one class, equal runs would get two names.
    """
    module_name, _, name = target.rpartition(".")
    module = source.load(module_name) if module_name else None
    if module is None:
        raise TargetError(_no_module(module_name or target))
    found = source.definition(module, name)
    if found is None:
        defined = [key for key, node in module.names.items() if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        raise TargetError(f"module {module_name} has no {name!r}{nearest(name, defined)}")
    owner, node = found
    if owner.name != module.name:
        raise TargetError(f"{name} is defined elsewhere: write {owner.name}.{node.name}")
    if isinstance(node, ast.FunctionDef):
        return _of_function(owner, node, bound=False)
    return _of_class(owner, node) or Signature(name, {}, True, None)


def nearest(word: str, words: list[str]) -> str:
    """The tail of an error message: the nearest right word, else all of them."""
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is: {', '.join(sorted(words))}" if words else ""


def _no_module(name: str) -> str:
    parent, _, child = name.rpartition(".")
    spec = source.find_spec(parent) if parent else None
    while parent and spec is None:
        parent, _, child = parent.rpartition(".")
        spec = source.find_spec(parent) if parent else None
    beside = [found.name for found in pkgutil.iter_modules(spec.submodule_search_locations)] if spec else []
    return f"there is no Python module {name!r}{nearest(child, beside) if parent else ''}"


def _of_class(module: Module, node: ast.ClassDef) -> Signature | None:
    """None where a base class stays unknown. The first base with arguments decides, as it does when Python looks."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            made = _of_function(module, statement, bound=True)
            return Signature(node.name, made.parameters, made.takes_anything, module)
    found = [source.base_definition(module, base) for base in node.bases]
    inherited = [_of_class(*base) if base else None for base in found]
    if _decorated_dataclass(node):
        fields = {name: value for made in reversed(inherited) if made for name, value in made.parameters.items()}
        return Signature(node.name, fields | _fields(module, node), False, module)
    first = next((made for made in inherited if made is None or made.parameters or made.takes_anything), NOTHING)
    return first and Signature(node.name, first.parameters, first.takes_anything, first.module)


def _of_function(module: Module, node: ast.FunctionDef, bound: bool) -> Signature:
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [*zip(positional, defaults, strict=True), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    parameters = {
        argument.arg: Parameter(
            argument.arg, argument.annotation, Missing() if value is None else literal(module, value)
        )
        for argument, value in pairs[1 if bound else 0 :]
    }
    return Signature(node.name, parameters, node.args.kwarg is not None, module)


def _decorated_dataclass(node: ast.ClassDef) -> bool:
    called = [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]
    return any(ast.unparse(item).rpartition(".")[2] == "dataclass" for item in called)


def _fields(module: Module, node: ast.ClassDef) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = ast.unparse(statement.annotation)
            if "ClassVar" not in kind and "KW_ONLY" not in kind:
                made = _field(module, statement.target.id, statement)
                parameters |= {made.name: made} if made else {}
    return parameters


def _field(module: Module, name: str, statement: ast.AnnAssign) -> Parameter | None:
    value = statement.value
    if value is None:
        return Parameter(name, statement.annotation)
    if not (isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "field"):
        return Parameter(name, statement.annotation, literal(module, value))
    given = {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
    if "init" in given and literal(module, given["init"]) is False:
        return None
    compared = "compare" not in given or literal(module, given["compare"]) is not False
    default: object = Missing()
    if "default" in given:
        default = literal(module, given["default"])
    elif "default_factory" in given:
        made = ast.unparse(given["default_factory"])
        default = {"list": [], "dict": {}, "tuple": ()}.get(made, Computed(f"{made}()"))
    return Parameter(name, statement.annotation, default, compared)


def literal(module: Module, node: ast.expr) -> object:
    """The value of a literal, or of a constant that the same file binds to one; else its text."""
    if isinstance(node, ast.Name) and isinstance(bound := module.names.get(node.id), ast.Assign | ast.AnnAssign):
        node = bound.value or node
    try:
        return ast.literal_eval(node)
    except ValueError:
        return Computed(ast.unparse(node))
