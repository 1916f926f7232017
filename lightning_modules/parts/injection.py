"""Put peft's modules into a model in place, and say precisely what of it then trains."""

import difflib
import re
from collections.abc import Sequence

from peft import PeftConfig, inject_adapter_in_model
from torch import nn
from transformers.pytorch_utils import Conv1D


def target_regex(method: str, patterns: Sequence[str], model: nn.Module) -> str:
    """One regular expression for peft's `target_modules` from patterns of the last parts of module names.

    peft complains only where no pattern of all matches anything; here each must match a linear module, and nothing
    else. Raises ValueError that names the linear modules and the nearest of them.
    """
    if isinstance(patterns, str) or not patterns:
        raise ValueError(f"{method} targets={patterns!r} must be a list of patterns, such as ['query', 'value']")
    modules = dict(model.named_modules())
    linear = {name for name, module in modules.items() if isinstance(module, nn.Linear | Conv1D)}
    for pattern in patterns:
        found = {name for name in modules if re.fullmatch(_ending(pattern), name)}
        if not found & linear:
            raise ValueError(_no_match(method, pattern, linear, model))
        if found - linear:
            other = min(found - linear)
            raise ValueError(
                f"{method} target {pattern!r} also matches {other} of {type(model).__name__}, a "
                f"{type(modules[other]).__name__}, which is not linear: give more of the name"
            )
    return "|".join(_ending(pattern) for pattern in patterns)


def inject(config: PeftConfig, model: nn.Module) -> frozenset[str]:
    """Inject peft's modules in place; the names of the parameters that they brought and that train."""
    inject_adapter_in_model(config, model)
    return frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)


def _ending(pattern: str) -> str:
    return rf"(?:.*\.)?(?:{pattern})"


def _no_match(method: str, pattern: str, linear: set[str], model: nn.Module) -> str:
    last = sorted({name.rpartition(".")[2] for name in linear})
    near = difflib.get_close_matches(pattern, [*last, *linear], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known = ", ".join(last) or "none"
    return f"{method} target {pattern!r} matches no linear module of {type(model).__name__}; they are: {known}{hint}"
