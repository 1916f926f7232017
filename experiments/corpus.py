"""The corpus that a configuration describes, and what of it may be learnt from. No torch, no Hydra."""

from pathlib import Path
from typing import Any

from datamodules.preparing.preparation import Filters, prepare
from datamodules.preparing.prepared import Prepared, Split
from experiments.config.instantiate import instantiate


def prepared_of(config: dict[str, Any]) -> Prepared:
    """The prepared corpus of a configuration, made now unless it lies in `cache_dir` already."""
    chosen = config["datamodule"]
    filters: Any = instantiate(chosen["filters"]) if "filters" in chosen else Filters()
    source: Any = instantiate(chosen["source"])
    return prepare(source, filters, Path(config["cache_dir"]))


def split_of(config: dict[str, Any], prepared: Prepared) -> Split:
    """Which events train: those of the split, of which few labels leave some."""
    split: Any = instantiate(config["split"])
    few_shot: Any = instantiate(config["datamodule"].get("few_shot"))
    return split(prepared) if few_shot is None else few_shot(prepared, split(prepared))
