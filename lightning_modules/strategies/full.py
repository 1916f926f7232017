"""Train everything: the reference that every cheaper strategy is measured against."""

from torch import nn

from lightning_modules.types import Plan


class FullStrategy:
    """All parameters of the pretrained model train, embeddings too; nothing is injected."""

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return Plan(identity="exact", trains=_always)


def _always(name: str) -> bool:
    return True
