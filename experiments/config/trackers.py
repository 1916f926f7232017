"""Loggers whose packages are extras are refused before anything runs, where they are not installed."""

from importlib.util import find_spec
from typing import Any

from experiments.config.check import ConfigError

EXTRAS = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}
"""Extra of pyproject.toml -> the packages that it brings; the extra is also the stem of the logger's YAML."""


def require_trackers(config: dict[str, Any]) -> None:
    """Raise `ConfigError` with one line for each chosen logger that misses a package."""
    chosen = [name for name, node in (config.get("logger") or {}).items() if node]
    lacking = {name: [package for package in EXTRAS.get(name, ()) if find_spec(package) is None] for name in chosen}
    faults = [
        f'logger: {name} needs {" and ".join(packages)}, not installed here: pip install -e ".[{name}]"'
        for name, packages in lacking.items()
        if packages
    ]
    if faults:
        raise ConfigError(faults)
