"""Does a value of a YAML fit an annotation? Decided from the annotation's text.

Basic types, Literal, unions and containers of them are judged; a class takes only an object to be built. Whatever else
is named (an imported alias) takes anything, because only importing could tell.
"""

import ast

from experiments.config.source import Module, base_definition

BASIC: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
LISTS = ("list", "List", "tuple", "Tuple", "Sequence", "Iterable", "Collection")
MAPPINGS = ("dict", "Dict", "Mapping")
ANYTHING = ("Any", "object", "Path", "PathLike")  # a path is written as a string


def is_node(value: object) -> bool:
    """Whether a value stands for an object to be built."""
    return isinstance(value, dict) and "_target_" in value


def fits(value: object, kind: ast.expr | None, module: Module | None) -> bool:
    """Whether `value` may be given where `kind` is annotated. `module`: the file whose aliases `kind` may name."""
    match kind:
        case ast.Constant(value=None):
            return value is None
        case ast.Constant(value=str() as text):
            return fits(value, ast.parse(text, mode="eval").body, module)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return fits(value, left, module) or fits(value, right, module)
        case ast.Subscript(value=outer, slice=inner):
            return _fits_subscript(value, outer, inner, module)
        case ast.Name() | ast.Attribute():
            return _fits_name(value, kind, module)
    return True


def is_tuple(kind: ast.expr | None) -> bool:
    """Whether an annotation asks for a tuple, where YAML only knows lists."""
    if isinstance(kind, ast.BinOp):
        return is_tuple(kind.left) or is_tuple(kind.right)
    return kind is not None and _last(kind.value if isinstance(kind, ast.Subscript) else kind) in ("tuple", "Tuple")


def is_float(kind: ast.expr | None) -> bool:
    """Whether an annotation takes a float and no int, so that 1 means 1.0."""
    names = {node.id for node in ast.walk(kind) if isinstance(node, ast.Name)} if kind is not None else set()
    return "float" in names and "int" not in names


def _last(kind: ast.expr) -> str:
    return kind.attr if isinstance(kind, ast.Attribute) else kind.id if isinstance(kind, ast.Name) else ""


def _fits_name(value: object, kind: ast.expr, module: Module | None) -> bool:
    name = _last(kind)
    if name in BASIC:
        return isinstance(value, BASIC[name]) and (name == "bool" or not isinstance(value, bool))
    if name in LISTS:
        return isinstance(value, list | tuple) or is_node(value)
    if name in MAPPINGS:
        return isinstance(value, dict)
    bound = module.names.get(name) if module else None
    if isinstance(bound, ast.Assign | ast.AnnAssign) and bound.value is not None:
        return fits(value, bound.value, module)
    return name in ANYTHING or is_node(value) or not _is_plain_class(kind, module)


def _is_plain_class(kind: ast.expr, module: Module | None) -> bool:
    """Whether a name is that of a class of which no YAML scalar can be an instance."""
    found = base_definition(module, kind) if module else None
    bases = [_last(base) for base in found[1].bases] if found else []
    return found is not None and not any(base in BASIC or base.endswith("Enum") for base in bases)


def _fits_subscript(value: object, kind: ast.expr, inner: ast.expr, module: Module | None) -> bool:
    outer = _last(kind)
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Literal":
        return any(type(value) is type(one) and value == one for one in map(_constant, parts))
    if outer in ("Optional", "Union"):
        return (outer == "Optional" and value is None) or any(fits(value, part, module) for part in parts)
    if outer == "Annotated":
        return fits(value, parts[0], module)
    if outer in LISTS and isinstance(value, list | tuple):
        return _fits_elements(list(value), parts, module)
    if outer in MAPPINGS and isinstance(value, dict) and len(parts) == 2 and not is_node(value):
        return all(fits(key, parts[0], module) and fits(item, parts[1], module) for key, item in value.items())
    return _fits_name(value, kind, module) if outer in (*LISTS, *MAPPINGS) else True


def _fits_elements(values: list[object], parts: list[ast.expr], module: Module | None) -> bool:
    open_ended = len(parts) == 1 or (isinstance(parts[-1], ast.Constant) and parts[-1].value is ...)
    kinds = [parts[0]] * len(values) if open_ended else parts
    return len(kinds) == len(values) and all(map(lambda value, kind: fits(value, kind, module), values, kinds))


def _constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else node
