"""A run's name: the digest of what determines its result, and nothing else.

Source, versions, threads and hardware are recorded beside a result, not hashed: a fixed typo must not discard a sweep.
"""

from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase

from datamodules.storage import digest
from experiments.config.annotation import is_float, is_node
from experiments.config.check import SPECIAL
from experiments.config.ranker import trains
from experiments.config.signature import Parameter, signature

RESULTS_EPOCH = 4
"""Raised whenever the same configuration gives other numbers: a changed default, or a changed computation."""

NEUTRAL = (
    "name",
    "rerun",
    "dry_run",
    "learning_rate",  # stands in the optimizer
    "learning_rates",
    "rate",
    "data_dir",
    "runs_dir",
    "cache_dir",
    "parents",  # hashed as a circumstance
    "logger",
    "datamodule.num_workers",
    "callbacks.gradient_norm",
    "callbacks.learning_rate",
    "callbacks.progress",
    "callbacks.startup_table",
    "backbone.path",  # the files behind it are hashed, wherever they lie
    "backbone.*.path",
    "trainer.accelerator",
    "trainer.devices",  # hashed as the world size
    "trainer.num_nodes",
    "trainer.precision",  # hashed as what it was resolved to
    "trainer.log_every_n_steps",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
)
"""Paths that change no result."""

TRAINING_ONLY = (
    *("candidates", "optimizer", "scheduler", "trainer", "callbacks", "monitor"),
    *("tokens_per_chunk", "frozen_states", "language_model_lr"),
)
"""Read only where something trains."""


@dataclass(frozen=True)
class Circumstances:
    """What determines a result beside the configuration. pretrained: digest of the files, by path in the
    config. parents: what made each of them, see `experiments.runs.parents`."""

    data: str
    precision: str
    world_size: int
    pretrained: dict[str, str] = field(default_factory=dict)
    parents: tuple[str, ...] = ()


def run_digest(config: dict[str, object], circumstances: Circumstances) -> str:
    """12 hexadecimal characters. Neither the order of keys nor a default written out changes them."""
    counted = {key: value for key, value in config.items() if trains(config) or key not in TRAINING_ONLY}
    whole = {"epoch": RESULTS_EPOCH, "config": essence(counted), "circumstances": asdict(circumstances)}
    return digest(whole)[:12]


def run_name(config: dict[str, object], choices: dict[str, str]) -> str:
    """The readable part of a run's id: the choices that a person compares by, and the seed."""
    of_model = ("adaptation", "strategy", "head") if trains(config) or "adaptation" in config else ("scorer",)
    words = [choices.get(seam) for seam in ("datamodule", "backbone", *of_model)]
    return "-".join([word.replace("/", "_") for word in words if word] + [f"s{config.get('seed', 0)}"])


def essence(value: object, path: str = "") -> object:
    """The part of a configuration that determines a result: without defaults, neutral paths and empty groups."""
    if isinstance(value, list | tuple):
        return [essence(item, f"{path}.{index}") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = {key: item for key, item in value.items() if not neutral(f"{path}.{key}" if path else str(key))}
    if is_node(value):
        kept = _without_defaults(kept)
    else:
        kept = {key: item for key, item in kept.items() if item is not None and item != {}}
    return {key: essence(item, f"{path}.{key}" if path else str(key)) for key, item in kept.items()}


def neutral(path: str) -> bool:
    """Whether the value at a path changes no result."""
    return any(fnmatchcase(path, pattern) for pattern in NEUTRAL)


def _without_defaults(node: dict[str, object]) -> dict[str, object]:
    parameters = signature(str(node["_target_"])).parameters
    kept = {}
    for name, value in node.items():
        parameter = parameters.get(name, Parameter(name))
        if isinstance(value, int) and not isinstance(value, bool) and is_float(parameter.annotation):
            value = float(value)
        if name in SPECIAL or (parameter.compared and not _equal(value, parameter.default)):
            kept[name] = value
    return kept


def _equal(value: object, default: object) -> bool:
    if isinstance(value, list | tuple) and isinstance(default, list | tuple):
        return len(value) == len(default) and all(map(_equal, value, default))
    return isinstance(value, bool) == isinstance(default, bool) and value == default
