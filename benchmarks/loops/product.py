"""A large product of two matrices on any device: what it can do in a kind of number."""

import torch

from benchmarks.measuring.serving import Counts, Turn

KINDS = ("bf16", "tf32", "fp32")


def loop(kind: str, size: int, repeat: int, device: str) -> Turn:
    """A turn multiplies `repeat` times. Raises `ValueError` for a kind that is none of `KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of number known here; choose {', '.join(KINDS)}")
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    a, b, out = (torch.randn(size, size, device=device).to(dtype) for _ in range(3))

    def turn(number: int) -> Counts:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if kind == "tf32" else "highest")
        for _ in range(repeat):
            torch.mm(a, b, out=out)
        torch.set_float32_matmul_precision(before)
        return {"flop": 2.0 * repeat * size**3}

    return turn
