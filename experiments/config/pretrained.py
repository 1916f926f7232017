"""The folders of the pretrained models that a configuration names: every `path` within the backbone. No torch."""

from functools import cache
from pathlib import Path
from typing import Any

from datamodules.pretrained import digest_pretrained, resolve
from datamodules.storage import atomic_folder
from datamodules.tiny_model import write_tiny_bert
from experiments.config.check import nodes

TINY_BERT = "tiny-bert"
"""Names the model with random weights; it is written into the cache when first asked for."""


def model_folder(name: str, cache_dir: Path) -> Path:
    """The folder of a pretrained model. Raises `DataError` where it cannot be had."""
    if name != TINY_BERT:
        return resolve(name)
    folder = cache_dir / TINY_BERT
    if not folder.exists():
        with atomic_folder(folder) as made:
            write_tiny_bert(made)
    return folder


def pretrained_names(config: dict[str, Any]) -> dict[str, str]:
    """The models that a configuration names, by the path in it: {"backbone.text.path": "bert-base-uncased"}."""
    found = nodes(config.get("backbone", {}), "backbone")
    return {f"{path}.path": str(node["path"]) for path, node in found if "path" in node}


def pretrained_digests(config: dict[str, Any]) -> dict[str, str]:
    """Digest of each named model's files, by its path in the configuration."""
    cache_dir = Path(config["cache_dir"])
    return {path: _digest(model_folder(name, cache_dir)) for path, name in pretrained_names(config).items()}


@cache
def _digest(folder: Path) -> str:
    return digest_pretrained(folder)
