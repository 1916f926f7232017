"""Choices that change nothing in a composition, so that nobody believes to have compared them."""

from typing import Any

from experiments.config.check import ConfigError
from experiments.config.pretrained import pretrained_names
from experiments.config.signature import nearest

MODEL_SEAMS = ("strategy", "interest", "head", "loss")
"""Read only where something trains."""


def idle_settings(config: dict[str, Any]) -> list[str]:
    """One sentence for each choice without effect, beginning with its path and ending with the way out."""
    if not config.get("backbone"):
        chosen = [seam for seam in MODEL_SEAMS if config.get(seam)]
        return [f"{seam}: nothing trains without a backbone; leave it out with ~{seam}" for seam in chosen]
    if config.get("text") and not pretrained_names(config):
        return ["text: nothing in this composition reads text; leave it out with ~text"]
    return []


def require_monitor(monitor: str, metrics: list[str]) -> None:
    """Raise `ConfigError` unless `monitor` is a validation metric that the protocol computes."""
    known = [f"valid/{name}" for name in metrics]
    if monitor not in known:
        raise ConfigError([f"monitor: {monitor!r} is not computed in validation{nearest(monitor, known)}"])
