"""What a checkpoint holds of a model of which most is frozen."""

import hashlib
from typing import Any

from torch import Tensor, nn


def kept_state(module: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries that cannot be had again: all but frozen parameters, under every name that one has."""
    named = module.named_parameters(remove_duplicate=False)
    frozen = {name for name, parameter in named if not parameter.requires_grad}
    return {name: value for name, value in state.items() if name not in frozen}


def frozen_digest(module: nn.Module) -> str:
    """SHA-256 over names and bits of the frozen parameters, computed once for each module: they never change."""
    known: str | None = getattr(module, "_frozen_digest", None)
    if known is None:
        sha = hashlib.sha256()
        for name, parameter in sorted(module.named_parameters()):
            if not parameter.requires_grad:
                sha.update(name.encode())
                sha.update(parameter.detach().cpu().contiguous().numpy().tobytes())
        known = sha.hexdigest()
        object.__setattr__(module, "_frozen_digest", known)
    return known


def require_same_model(module: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Raise `ValueError` unless the checkpoint has exactly the kept tensors of this module, in their shapes, and was
    trained above the same frozen weights."""
    own, found = kept_state(module, module.state_dict()), checkpoint["state_dict"]
    faults = [f"lacks {name}" for name in own if name not in found]
    faults += [f"has an unknown {name}" for name in found if name not in own]
    faults += [
        f"has {name} of shape {tuple(found[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in found and found[name].shape != own[name].shape
    ]
    if not faults and checkpoint.get("frozen_digest") != frozen_digest(module):
        faults = ["was trained above other frozen weights"]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ValueError(
            f"the checkpoint is of another model: it {'; it '.join(faults[:3])}{more}. "
            "Give the configuration that it was trained with, or delete it to start anew"
        )
