"""What a study found, as an experiment that anybody can run: conf/experiment/NAME.yaml."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from omegaconf import OmegaConf

from datamodules.storage import atomic_write
from experiments.config.check import ConfigError
from experiments.config.compose import CONF, FOLDERS
from experiments.runs.plan import plan_words
from experiments.runs.read import Run
from experiments.units import duration

EXPECTED = ("test/hr@10", "test/ndcg@10")
BASES = ("experiment", "sweep", "debug")
"""Folders of conf/ whose files choose on several seams at once: a recipe begins with them and changes what they say."""

SEARCH_PATH = "hydra.searchpath"
UNSAID = (*FOLDERS, "name", "rerun", "dry_run")
"""Folders and names are the machine's own and left out."""


def recipe(name: str, title: str, words: Sequence[str], run: Run) -> str:
    """The YAML: header, choices, settings. The number to expect is the run's own on the test split, its range half the
    width of the bootstrap interval over queries.

    Raises `ConfigError` for a word that no YAML can say.
    """
    choices, settings = _sorted(words)
    lines = [
        "# @package _global_",
        f"# {title} (+- is half of the 95% interval over queries)",
        *_header(name, words, run),
    ]
    defaults = [f"  - /{group}/{choices.pop(group)}" for group in BASES if group in choices]
    defaults += [f"  - override /{group}: {choice}" for group, choice in choices.items()]
    body = OmegaConf.to_yaml(OmegaConf.create(settings)) if settings else ""
    return "\n".join([*lines, *(["defaults:", *defaults, ""] if defaults else []), body])


def require_same(text: str, words: Sequence[str], run: Run) -> None:
    """Raise `ConfigError` where the YAML is of another run than the one that it was written from."""
    name = f"written-{uuid4().hex}"  # Hydra asks conf/ first, where the name that it shall have may be one of before
    with TemporaryDirectory() as folder:
        atomic_write(Path(folder, "experiment", f"{name}.yaml"), text)
        places = [f"file://{folder}", *(place for word in words for place in _search_path(word))]
        own = [word for word in words if _said_beside(word) and not _search_path(word)]
        found = plan_words([f"experiment={name}", f"{SEARCH_PATH}=[{','.join(places)}]", *own]).folder.id
    if found != run.id:
        said = shlex.join([word for word in words if word.partition("=")[0] not in FOLDERS])
        raise ConfigError([f"as an experiment's YAML the words make {found}, not {run.id}; keep the words: {said}"])


def _said_beside(word: str) -> bool:
    """What stands on the command line and in no YAML: folders and Hydra's own settings."""
    key = word.partition("=")[0]
    return key in FOLDERS or key.startswith("hydra.")


def _search_path(word: str) -> list[str]:
    """The folders of a word that says where else than in conf/ parts are looked for."""
    key, _, value = word.partition("=")
    return [place.strip() for place in value.strip("[]").split(",")] if key == SEARCH_PATH else []


def _header(name: str, words: Sequence[str], run: Run) -> list[str]:
    expected = ", ".join(
        f"{metric} {run.metrics[metric]:.4f} +- {_half(run.intervals[metric]):.4f}"
        for metric in EXPECTED
        if metric in run.metrics and metric in run.intervals
    )
    commit = str(run.provenance.get("commit") or "none")[:7] + (" with changes" if run.provenance.get("dirty") else "")
    beside = [word for word in words if word.startswith("hydra.")]
    found = {
        "command": shlex.join(["python", "-m", "experiments.train", f"experiment={name}", *beside]),
        "hardware": str(run.provenance.get("hardware")),
        "time": duration(run.cost.get("seconds")),
        "expected": expected,
        "commit": commit,
    }
    if not expected:
        found |= dict.fromkeys(("hardware", "time", "expected", "commit"), "not measured")
    return [f"# {key}: {value}" for key, value in found.items()]


def _half(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / 2


def _sorted(words: Sequence[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Choices on seams, and settings nested as YAML has them."""
    choices: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for word, override in zip(words, OverridesParser.create().parse_overrides(list(words)), strict=True):
        path = override.key_or_group
        if override.is_delete():
            raise ConfigError([f"{word}: an experiment's YAML cannot take a choice away; say another one"])
        if path in UNSAID or path.startswith("hydra."):
            continue
        if (CONF / path).is_dir() and "." not in path:
            value = override.value()
            choices[path] = "null" if value is None else str(value)
        else:
            _put(settings, path.split("."), _plain(override.value()))
    return choices, settings


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _put(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *folders, leaf = path
    for folder in folders:
        settings = settings.setdefault(folder, {})
        if not isinstance(settings, Mapping):
            raise ConfigError([f"{'.'.join(path)}: another word sets what it is in"])
    settings[leaf] = value
