"""Whether validation measures the metric that somebody asks for by its name."""

from collections.abc import Sequence
from typing import Any

from experiments.config.check import ConfigError
from experiments.config.instantiate import instantiate
from experiments.config.signature import nearest

OF_ADAPTATION = ("loss", "perplexity")


def is_in_question(config: dict[str, Any], words: Sequence[str]) -> bool:
    """Whether somebody chose a monitor or what is measured, so that it is worth the seconds of `measured` to say before
    anything runs that they do not agree. What other files than conf/'s own choose is seen when the run begins."""
    usual = "valid/loss" if "adaptation" in config else "valid/ndcg@10"  # of conf/adapt.yaml and conf/train.yaml
    return config["monitor"] != usual or any(word.lstrip("+~").startswith("metrics") for word in words)


def measured(config: dict[str, Any]) -> list[str]:
    """Metrics of validation, as `monitor` and the objectives of a search name them. Asking a protocol for them imports
    torch."""
    if "adaptation" in config:
        names: Sequence[str] = OF_ADAPTATION
    else:
        protocol: Any = instantiate(config["metrics"])
        names = [metric.name for metric in protocol.metrics]
    return [f"valid/{name}" for name in names]


def require_measured(name: str, key: str, config: dict[str, Any]) -> None:
    """Raise `ConfigError` unless it is one of them. key: where the name was given."""
    known = measured(config)
    if name not in known:
        raise ConfigError([f"{key}: {name!r} is not computed in validation{nearest(name, known)}"])
