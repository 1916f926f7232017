"""Which event a node stands for, where nodes are events."""

import torch
from jaxtyping import Int
from torch import Tensor

from datamodules.types import Events


def event_owners(events: Events) -> Int[Tensor, "B H"]:
    """Node v stands for event v; padded nodes stand for none (-1)."""
    step = torch.arange(events.slot.shape[1], device=events.slot.device)
    return torch.where(events.mask, step, -1)
