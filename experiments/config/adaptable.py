"""What a run that adapts a language model reads of a configuration, so that nothing else gives it another name."""

from typing import Any

from experiments.config.check import ConfigError, nodes

READ = ("_target_", "path", "first_layers")
"""Of a backbone. How it pools, whitens or projects is for whoever recommends with the adapted model."""


def keep_what_adapts(config: dict[str, Any]) -> None:
    """Leave of the backbone its one language model, and of the data module what decides on the training events. Raises
    `ConfigError` where there is not one language model, or no text for it."""
    found = [node for _, node in nodes(config.get("backbone") or {}) if "path" in node]
    faults = [] if len(found) == 1 else [f"backbone: has {len(found)} language models, and a run adapts one"]
    if not config.get("text"):
        faults.append("text: a language model adapts to words, and nothing puts the corpus into any; use text=template")
    if faults:
        raise ConfigError(faults)
    config["backbone"] = {key: value for key, value in found[0].items() if key in READ}
    config["datamodule"].pop("users_per_step", None)
