"""Bind every `_target_` of a configuration to its signature before anything runs, and report all faults at once."""

import ast
from collections.abc import Iterator

from experiments.config.annotation import fits, is_node
from experiments.config.facts import runtime_names
from experiments.config.signature import Parameter, Signature, TargetError, nearest, signature

SPECIAL = ("_target_", "_partial_")


class ConfigError(ValueError):
    """A configuration that cannot run. `faults`: one line each, beginning with the path of what is wrong."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(f"  {fault}" for fault in faults))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str]]]:
        return ConfigError, (self.faults,)


def nodes(value: object, path: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """Every mapping with a `_target_`, outer before inner, with its dotted path."""
    if is_node(value):
        assert isinstance(value, dict)
        yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from nodes(child, f"{path}.{key}" if path else str(key))


def check(config: dict[str, object]) -> None:
    """Raise `ConfigError` with every fault: no such target, unknown or missing argument, an argument that code
    supplies, a value of the wrong basic type."""
    found = [fault for path, node in nodes(config) for fault in _faults(path, node)]
    if found:
        raise ConfigError(found)


def _faults(path: str, node: dict[str, object]) -> Iterator[str]:
    target = node["_target_"]
    try:
        bound = signature(str(target))
    except TargetError as error:
        yield f"{path}._target_: {error}"
        return
    supplied = runtime_names(path) & set(bound.parameters)
    given = {key: value for key, value in node.items() if key not in SPECIAL}
    for name, value in given.items():
        fault = _fault_of(name, value, bound, supplied)
        if fault:
            yield f"{path}.{name}: {fault}"
    if not node.get("_partial_"):
        needed = [name for name, parameter in bound.parameters.items() if parameter.required]
        for name in needed:
            if name not in given and name not in supplied:
                yield f"{path}.{name}: {bound.name} needs this argument and it has no default"


def _fault_of(name: str, value: object, bound: Signature, supplied: frozenset[str]) -> str | None:
    parameter = bound.parameters.get(name)
    if parameter is None:
        choices = [key for key in bound.parameters if key not in supplied]
        return None if bound.takes_anything else f"{bound.name} takes no argument {name!r}{nearest(name, choices)}"
    if name in supplied:
        return f"is {value!r}, but code supplies it to {bound.name}; leave it out"
    return None if fits(value, parameter.annotation, bound.module) else _wrong_type(value, parameter, bound)


def _wrong_type(value: object, parameter: Parameter, bound: Signature) -> str:
    assert parameter.annotation is not None
    wanted = ast.unparse(parameter.annotation)
    if isinstance(parameter.annotation, ast.Name) and bound.module:
        alias = bound.module.names.get(parameter.annotation.id)
        wanted = ast.unparse(alias.value) if isinstance(alias, ast.Assign) else wanted
    kind = "an object" if is_node(value) else "null" if value is None else f"{value!r} ({type(value).__name__})"
    return f"is {kind}, but {bound.name} takes {wanted}"
