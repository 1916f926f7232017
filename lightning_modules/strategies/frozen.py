"""Train nothing of the language model: only what comes after it."""

from torch import nn

from lightning_modules.types import Plan


class FrozenStrategy:
    """The pretrained model stays as it is, in eval mode, so its pooled vectors can be computed once and kept."""

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return Plan(identity="exact", trains=_never)


def _never(name: str) -> bool:
    return False
