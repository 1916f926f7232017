"""How much faster a layer trains in bfloat16 than in float32: `python -m experiments.config.layer_speed cuda|cpu`.

Runs in a process of its own, since it imports torch. Measured is what a run does, a transformer layer forward and
backward under autocast, and not a bare matmul, which promises too much: on a processor with AMX tiles a bf16 matmul
was 5 to 10 times as fast, a training step of MiniLM 1.2 times.
"""

import sys
import time

import torch
from torch import nn

WIDTH, TEXTS, TOKENS = {"cuda": 768, "cpu": 384}, {"cuda": 512, "cpu": 32}, 32
REPEATS = 5


def speedup(device: torch.device, width: int, texts: int, repeats: int = REPEATS) -> float:
    """Seconds in float32 divided by seconds in bfloat16, the best of some repetitions that alternate."""
    layer = nn.TransformerEncoderLayer(width, width // 32, 4 * width, 0.0, "gelu", batch_first=True, device=device)
    hidden = torch.randn(texts, TOKENS, width, device=device)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(repeats + 1):
        for half, taken in seconds.items():
            taken.append(_step(layer, hidden, half))
    return min(seconds[False][1:]) / min(seconds[True][1:])  # the first ones load kernels


def _step(layer: nn.Module, hidden: torch.Tensor, half: bool) -> float:
    layer.zero_grad()
    _wait_for(hidden.device)
    started = time.perf_counter()
    with torch.autocast(hidden.device.type, torch.bfloat16, enabled=half):
        output = layer(hidden)
    output.float().square().mean().backward()
    _wait_for(hidden.device)
    return time.perf_counter() - started


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def least_speedup(kind: str) -> float:
    """Of all visible GPUs the least, since a run may get any of them; 1 where this torch finds none. On a CPU, its
    own."""
    if kind == "cpu":
        return speedup(torch.device("cpu"), WIDTH[kind], TEXTS[kind])
    devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return min((speedup(device, WIDTH[kind], TEXTS[kind]) for device in devices), default=1.0)


if __name__ == "__main__":
    print(least_speedup(sys.argv[1]))
