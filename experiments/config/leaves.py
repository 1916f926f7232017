"""Nested configurations by dotted path."""

from collections.abc import Iterator, Mapping
from typing import Any


def look_up(config: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    found: Any = config
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def flatten(config: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested objects and lists by dotted path."""
    items: Iterator[tuple[Any, Any]]
    if isinstance(config, Mapping) and config:
        items = iter(config.items())
    elif isinstance(config, list | tuple) and any(isinstance(entry, Mapping) for entry in config):
        items = iter(enumerate(config))
    else:
        return {path: config}
    deeper = [flatten(node, f"{path}.{name}" if path else str(name)) for name, node in items]
    return {key: leaf for leaves in deeper for key, leaf in leaves.items()}
