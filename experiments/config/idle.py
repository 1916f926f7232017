"""Choices that change nothing in a composition or contradict each other, so that nobody believes to have compared
them."""

from collections.abc import Iterator
from typing import Any

from experiments.config.check import ConfigError, nodes
from experiments.config.pretrained import pretrained_names
from experiments.config.ranker import trains, wanted_model
from experiments.config.signature import signature

MODEL_SEAMS = ("strategy", "interest", "head", "loss")
"""Read only where something trains."""

UNREAD = {
    "Reader": ("dim", "first_layers", "dropout"),
    "Encoder": ("dropout",),
}
"""Settings of a language model that a scorer without training passes by, by the type of the model that it asks for: one
that is asked in words is loaded from its folder as it is, and what is only read drops nothing. How a model pools and
whether it is whitened stands in its YAML, so that nobody need have chosen it."""


def idle_settings(config: dict[str, Any]) -> list[str]:
    """One sentence for each choice without effect, beginning with its path and ending with the way out."""
    if not trains(config):
        chosen = [seam for seam in MODEL_SEAMS if config.get(seam)]
        why = "this scorer takes the model as it is" if config.get("backbone") else "nothing trains without a backbone"
        return [*(f"{seam}: {why}; leave it out with ~{seam}" for seam in chosen), *_unread(config)]
    if pretrained_names(config):
        return []  # whether frozen layers lie below one that trains is known once there is a model
    found = ["text: nothing in this composition reads text; leave it out with ~text"] if config.get("text") else []
    if config.get("frozen_states", "float32") != "float32":
        found.append("frozen_states: no language model has layers whose output could be kept; leave it out")
    if config.get("tf32"):
        found.append("tf32: only a language model's products are rounded, and there is none; leave it out")
    return found


def _unread(config: dict[str, Any]) -> Iterator[str]:
    scorer, names = config["scorer"]["_target_"].rpartition(".")[2], UNREAD.get(wanted_model(config), ())
    for path, node in nodes(config.get("backbone") or {}, "backbone"):
        parameters = signature(str(node["_target_"])).parameters
        for name in names if "path" in node else ():
            if name in parameters and node.get(name, parameters[name].default) != parameters[name].default:
                yield f"{path}.{name}: {scorer} does not read it; leave it out"


def require_one_ranker(config: dict[str, Any]) -> None:
    """Raise `ConfigError` where backbone and scorer contradict each other: a model that trains is served by a scorer
    that takes the model; any other scorer is fitted in closed form, and a model beside it would be ranked in its
    name."""
    target = str(config["scorer"]["_target_"])
    served, name = "model" in signature(target).parameters, target.rpartition(".")[2]
    if config.get("backbone") and not served:
        way_out = "leave the model out (experiment=popularity and experiment=oracle do) or choose scorer=trained"
        raise ConfigError([f"scorer: {name} is fitted in closed form, and a backbone is there to train; {way_out}"])
    if not config.get("backbone") and served:
        raise ConfigError([f"backbone: {name} serves a model that was trained, and without a backbone there is none"])
