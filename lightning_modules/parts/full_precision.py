"""Where half precision would cost ranks."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """In here float32 is float32: without autocast, and without TF32, which rounds factors to ten bits, whoever asked
    for it. What was asked for comes back, so contexts nest; a backward pass runs in what holds where it is called, so
    TF32 rounds gradients of interests.

    Scores in bf16 have eight bits: neighbours in a ranking would be tied, and the last steps of a softmax lost.
    Language models are where half precision pays; interests, heads and losses are small.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
