"""Parameter groups of a recommender: what decays and at which rate, a partition of what trains."""

from collections import defaultdict
from typing import Any

from torch import nn

from lightning_modules.recommender import Recommender


def parameter_groups(model: Recommender) -> list[dict[str, Any]]:
    """Groups with `params`, `of_strategy`, `lr_scale`, `starts` (see `Trainable`) and, where decay is off,
    `weight_decay` 0.

    Weight decay leaves out biases, gains of norms, scalars and everything else that is a vector, whatever its shape:
    the factors of IA3 are rows and columns, and decay would pull them from one to nothing. T5's biases on the distance
    of two tokens are a table, one for each distance and head, and biases all the same: decay would only make it forget
    which distances matter. Raises `RuntimeError` where the groups miss or repeat a trainable tensor.
    """
    members: dict[tuple[bool, float, float, bool], list[nn.Parameter]] = defaultdict(list)
    for entry in model.encoder.trainable():
        key = (entry.of_strategy, entry.lr_scale, entry.starts, _decays(entry.name, entry.parameter))
        members[key].append(entry.parameter)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not name.startswith("encoder."):
            members[False, 1.0, 0.0, _decays(name, parameter)].append(parameter)
    grouped = [id(parameter) for group in members.values() for parameter in group]
    if sorted(grouped) != sorted(id(p) for p in model.parameters() if p.requires_grad):
        raise RuntimeError("the parameter groups do not hold every trainable tensor exactly once")
    return [
        {"params": group, "of_strategy": ours, "lr_scale": scale, "starts": starts}
        | ({} if decays else {"weight_decay": 0.0})
        for (ours, scale, starts, decays), group in members.items()
    ]


def _decays(name: str, parameter: nn.Parameter) -> bool:
    is_table_of_biases = name.endswith("bias.weight")
    return parameter.numel() > max(parameter.shape, default=1) and not is_table_of_biases
