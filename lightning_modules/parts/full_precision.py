"""Where half precision would cost ranks."""

import torch


def full_precision(device: torch.device) -> torch.autocast:
    """A context without autocast. Scores in bf16 have eight bits: neighbours in a ranking would be tied, and the last
    steps of a softmax lost. Language models are where half precision pays; interests, heads and losses are small."""
    return torch.autocast(device.type, enabled=False)
