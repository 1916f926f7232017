"""Train biases alone."""

from torch import nn

from lightning_modules.types import Plan


class BiasStrategy:
    """Only biases train (BitFit, Ben Zaken et al. 2022)."""

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return Plan(identity="exact", trains=lambda name: name.endswith("bias"))
