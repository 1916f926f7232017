"""Put peft's modules into a model in place, and say precisely what of it then trains."""

import difflib
import re
import warnings
from collections.abc import Sequence

from peft import PeftConfig, PeftModel, TaskType, get_peft_model
from torch import nn
from transformers.pytorch_utils import Conv1D

from lightning_modules.parts.families import roles_of
from lightning_modules.types import Identity, Plan

MATRICES: tuple[type[nn.Module], ...] = (nn.Linear, Conv1D)
"""What weight matrices of pretrained models are in: GPT-2's `Conv1D` is a linear module with its weight transposed."""


def target_regex(
    method: str, targets: Sequence[str], model: nn.Module, kinds: tuple[type[nn.Module], ...] = MATRICES
) -> str:
    """One regular expression for peft's `target_modules` from roles (`query`, see `parts.families`) and patterns of the
    last parts of module names.

    peft complains only where no pattern of all matches anything; here each must match a linear module, and nothing
    else, and one of `kinds`, which the method can change. Raises ValueError that names the linear modules and the
    nearest of them.
    """
    if isinstance(targets, str) or not targets:
        raise ValueError(f"{method} targets={targets!r} must be a list, such as ['query', 'value']")
    roles, modules = roles_of(model), dict(model.named_modules())
    linear = {name for name, module in modules.items() if isinstance(module, MATRICES)}
    patterns = {roles.get(target, target): target for target in reversed(targets)}
    for pattern, target in reversed(patterns.items()):
        found = {name for name in modules if re.fullmatch(ending(pattern), name)}
        if not found & linear:
            raise ValueError(_no_match(method, target, linear, model))
        if found - linear:
            other = min(found - linear)
            raise ValueError(
                f"{method} target {target!r} also matches {other} of {type(model).__name__}, a "
                f"{type(modules[other]).__name__}, which is not linear: give more of the name"
            )
        unknown = sorted(name for name in found if not isinstance(modules[name], kinds))
        if unknown:
            where = f"{unknown[0]} of {type(model).__name__}, a {type(modules[unknown[0]]).__name__}"
            known = ", ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"{method} cannot change {where}: it knows {known} alone. Use strategy=lora")
    return "|".join(ending(pattern) for pattern in reversed(patterns))


def ending(pattern: str) -> str:
    """A regular expression for whole module names that end in parts which match `pattern`."""
    return rf"(?:.*\.)?(?:{pattern})"


def peft_plan(config: PeftConfig, model: nn.Module, identity: Identity = "exact") -> Plan:
    """Inject what a configuration of peft asks for, in place; what it brought and left trainable is what trains."""
    config.task_type = TaskType.FEATURE_EXTRACTION
    with warnings.catch_warnings():
        # peft 0.21.2 asks transformers 5.23 for a property under its old name.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        adapter: PeftModel = get_peft_model(model, config)
    names = frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    return Plan(identity=identity, trains=names.__contains__, adapter=adapter)


def _no_match(method: str, target: str, linear: set[str], model: nn.Module) -> str:
    last = sorted({name.rpartition(".")[2] for name in linear})
    near = difflib.get_close_matches(target, [*roles_of(model), *last, *linear], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known = ", ".join(last) or "none"
    return f"{method} target {target!r} matches no linear module of {type(model).__name__}; they are: {known}{hint}"
