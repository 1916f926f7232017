"""Build what a configuration describes, handing every part the facts that only code knows."""

import functools
import importlib

from experiments.config.annotation import is_node, is_tuple
from experiments.config.check import SPECIAL
from experiments.config.signature import Signature, signature


def instantiate(node: object, **facts: object) -> object:
    """Import and call `_target_` with the other entries as arguments; nested nodes, also in lists, are built first.

    `_partial_: true` gives a `functools.partial`; lists become tuples where the signature says so. The outermost
    target gets every fact that its signature names, a nested one what it cannot do without: its own default, such as
    the seed of a simulated corpus, is a choice. Raises `ValueError` where a node sets what a fact supplies.
    """
    return _build(node, facts, nested=False)


def _build(node: object, facts: dict[str, object], nested: bool) -> object:
    if isinstance(node, list):
        return [_build(item, facts, nested) for item in node]
    if not isinstance(node, dict):
        return node
    inner = nested or is_node(node)
    values = {key: _build(value, facts, inner) for key, value in node.items() if key not in SPECIAL}
    if not is_node(node):
        return values
    target = str(node["_target_"])
    bound = signature(target)
    arguments = _arguments(values, bound, _wanted(bound, facts, nested))
    module, _, name = target.rpartition(".")
    called = getattr(importlib.import_module(module), name)
    return functools.partial(called, **arguments) if node.get("_partial_") else called(**arguments)


def _wanted(bound: Signature, facts: dict[str, object], nested: bool) -> dict[str, object]:
    parameters = bound.parameters
    return {
        name: value for name, value in facts.items() if name in parameters and (parameters[name].required or not nested)
    }


def _arguments(values: dict[str, object], bound: Signature, supplied: dict[str, object]) -> dict[str, object]:
    twice = sorted(supplied.keys() & values.keys())
    if twice:
        raise ValueError(f"{bound.name}: {', '.join(twice)} is supplied by code and also set in the configuration")
    made = {
        name: tuple(value) if isinstance(value, list) and _wants_tuple(bound, name) else value
        for name, value in values.items()
    }
    return made | supplied


def _wants_tuple(bound: Signature, name: str) -> bool:
    parameter = bound.parameters.get(name)
    return parameter is not None and is_tuple(parameter.annotation)
