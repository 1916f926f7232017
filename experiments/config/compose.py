"""From the words on the command line to a plain, resolved, checked configuration."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from experiments.config.check import ConfigError, check, nodes
from experiments.config.facts import runtime_names
from experiments.config.signature import TargetError, nearest, signature

CONF = Path(__file__).resolve().parents[2] / "conf"
RATES = ["low", "middle", "high"]
FOLDERS = ("data_dir", "runs_dir", "cache_dir")


def compose(overrides: Sequence[str] = (), program: str = "train") -> dict[str, Any]:
    """The configuration that `python -m experiments.PROGRAM OVERRIDES` would run, for notebooks, programs and tests.

    Raises `ConfigError` with all faults, Hydra's included.
    """
    with as_config_error(), initialize_config_dir(str(CONF), version_base="1.3"):
        return plain(hydra_compose(program, list(overrides)))


@contextmanager
def as_config_error() -> Iterator[None]:
    """What Hydra and OmegaConf raise for words that do not compose becomes a `ConfigError`."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as fault:
        raise ConfigError([explain(fault)]) from fault
    except ValueError as fault:
        if not str(fault).startswith("Config group override"):
            raise
        raise ConfigError([_left_out(fault)]) from fault


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolved to dicts, lists and numbers, folders absolute (a run is opened from anywhere), and checked."""
    for key in FOLDERS:
        if config.get(key):
            config[key] = str(Path(config[key]).expanduser().absolute())
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as fault:
        raise ConfigError([f"{fault.full_key}: must be given"]) from fault
    except InterpolationResolutionError as fault:  # also a ValueError, which would be told as it is
        raise ConfigError([explain(fault)]) from fault
    assert isinstance(resolved, dict)
    _absolute(resolved)
    made = {str(key): value for key, value in resolved.items() if value is not None or key in ("name", "rerun")}
    check(made)
    return made


def _absolute(config: dict[Any, Any]) -> None:
    """Folders inside the data module and the backbone, so that a run can be opened from anywhere."""
    source = config.get("datamodule", {}).get("source", {})
    if isinstance(source, dict) and source.get("root"):
        source["root"] = str(Path(source["root"]).expanduser().absolute())
    for _, node in nodes(config.get("backbone") or {}):
        path = node.get("path")
        if isinstance(path, str) and Path(path).expanduser().is_dir():
            node["path"] = str(Path(path).expanduser().absolute())


def _left_out(fault: ValueError) -> str:
    """Hydra answers SEAM=null with a bare ValueError, in a frame that knows the override."""
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    override = frame.tb_frame.f_locals.get("override") if frame is not None else None
    group = override.key_or_group if override is not None else "SEAM"
    return f"{group}=null: a seam is left out with ~{group}"


def explain(fault: Exception) -> str:
    """Hydra's complaint about an override, in one message with the nearest right word."""
    if isinstance(fault, MissingConfigException) and fault.options is not None and fault.missing_cfg_file:
        group, _, choice = fault.missing_cfg_file.rpartition("/")
        return f"{group}={choice}: there is no such choice{nearest(choice, list(fault.options))}"
    ambiguous = re.search(r"Ambiguous value for argument '(.+?)'", str(fault))
    if ambiguous:
        return f"{ambiguous[1]}: several values make a sweep; write -m before the settings"
    if isinstance(fault, OverrideParseException) and "{" in fault.override:
        return f"{fault.override}: words with braces want two pairs of quotes, such as 'text.pattern=\"{{title}}\"'"
    if isinstance(fault, OverrideParseException):
        return f"{fault.override}: is not an override of the form key=value ({' '.join(str(fault).split())})"
    rate = re.search(r"Interpolation key 'learning_rates\.(.+?)' not found", str(fault))
    if rate:
        return f"rate={rate[1]}: there is no such rate{nearest(rate[1], RATES)}"
    cause = fault.__cause__ if isinstance(fault.__cause__, OmegaConfBaseException) else fault
    key = getattr(cause, "full_key", None) or _key_in(str(fault))
    parent = getattr(cause, "parent_node", None)
    if key and isinstance(parent, DictConfig) and re.match(r"Key .* (?:is )?not in ", str(cause)):
        return _unknown_key(key, parent)
    return " ".join(str(fault).split())


def _key_in(message: str) -> str | None:
    found = re.search(r"'([\w./@]+)'", message)
    return found.group(1) if found else None


def _package(group: str) -> str | None:
    """Where the settings of a folder of conf/ stand, if at another place than its name says."""
    heads = [path.read_text(encoding="utf-8").partition("\n")[0] for path in (CONF / group).glob("*.yaml")]
    places = {head.removeprefix("# @package ") for head in heads if head.startswith("# @package ")} - {"_global_"}
    return min(places, default=None)


def _unknown_key(key: str, parent: DictConfig) -> str:
    """A key that no YAML holds: either the class takes it all the same, and Hydra wants a +, or it is misspelt."""
    name = re.split(r"[./]", key)[-1]
    if "_target_" not in parent and not parent.keys():
        return f"{key}: no YAML lists it; a new entry wants a plus: +{key}=..."
    package = _package(key) if key == name else None
    if package is not None:
        return f"{key}: its settings stand at {package}: write {package}.NAME=..."
    if key.startswith("hydra.launcher.") and set(parent) == {"_target_"}:
        return f"{key}: one job after another takes no settings; choose hydra/launcher=joblib, ray or slurm"
    known = [str(word) for word in parent if not str(word).startswith("_")]
    target = parent.get("_target_")
    try:
        taken = list(signature(str(target)).parameters.keys() - runtime_names(key)) if target else []
    except TargetError:
        taken = []
    if name in taken:
        return f"{key}: no YAML lists it, but {str(target).rpartition('.')[2]} takes it: write +{key}=..."
    return f"{key}: there is no such setting{nearest(name, sorted({*known, *taken} - {'hydra'}))}"
