"""What kind of ranker a configuration describes: one that trains, or one that does not. No torch."""

import ast
from collections.abc import Mapping
from typing import Any

from experiments.config.signature import signature

AS_PRETRAINED = ("Encoder", "Reader")
"""Types of a model that a scorer takes as it was pretrained, by their names: importing them would import torch."""


def trains(config: Mapping[str, Any]) -> bool:
    """Whether the composition has a model to train: a backbone, unless the scorer takes it as it was pretrained."""
    return config.get("backbone") is not None and wanted_model(config) not in AS_PRETRAINED


def wanted_model(config: Mapping[str, Any]) -> str:
    """The type of the model that the scorer's signature asks for; "" where there is no scorer or it needs none."""
    target = (config.get("scorer") or {}).get("_target_")
    parameter = None if target is None else signature(str(target)).parameters.get("model")
    return "" if parameter is None or parameter.annotation is None else ast.unparse(parameter.annotation)
