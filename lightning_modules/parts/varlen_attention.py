"""One kernel call for all texts of a row, on a GPU that has such a kernel.

Flash attention over sequences of unequal length that stand end to end (Dao 2024, "FlashAttention-2", in PyTorch
`torch.nn.attention.varlen`). It knows half precision and no dropout on attention weights; everything else goes
rectangle by rectangle (module `packed_attention`). Before its first use on a device it is held against the rectangles,
values and gradients, and left alone where it fails or differs.
"""

import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention

from lightning_modules.parts.runs import Run, rectangles

HALF = (torch.float16, torch.bfloat16)
LARGEST_HEAD = 256
SAMPLE = (Run(2, 5), Run(1, 1), Run(1, 40))
TOLERANCE = 2e-2
"""Of a sample of unit variance: a few steps of bf16, and far below what a wrong text boundary does."""


def serves(
    device: torch.device, dtype: torch.dtype, size: int, causal: bool, dropout: float = 0.0, **settings: Any
) -> bool:
    """Whether the kernel computes this call. size: of a head. settings: what else the layer asks for; a bias on
    positions is nothing the kernel knows."""
    known = device.type == "cuda" and dtype in HALF and size <= LARGEST_HEAD and size % 8 == 0
    return known and not dropout and settings.get("position_bias") is None and agrees(device, dtype, causal)


def attend(
    query: Float[Tensor, "H L size"],
    key: Float[Tensor, "K L size"],
    value: Float[Tensor, "K L size"],
    runs: Sequence[Run],
    causal: bool,
    scaling: float | None = None,
) -> Float[Tensor, "L H size"]:
    """Each text within itself. K divides H: several heads may share a key."""
    ends, longest = boundaries(tuple(runs), query.device), max(run.length for run in runs)
    q, k, v = (tensor.transpose(0, 1).contiguous() for tensor in (query, key, value))
    found = varlen_attn(
        q, k, v, ends, ends, longest, longest,
        scale=scaling, window_size=(-1, 0 if causal else -1), enable_gqa=len(key) != len(query),
    )  # fmt: skip
    return cast(Tensor, found)


@lru_cache(maxsize=64)
def boundaries(runs: tuple[Run, ...], device: torch.device) -> Int[Tensor, " bounds"]:
    """Where texts begin, and where the last one ends; the same for every layer of a step."""
    lengths = [run.length for run in runs for _ in range(run.count)]
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


@cache
def agrees(device: torch.device, dtype: torch.dtype, causal: bool) -> bool:
    """Whether the kernel is there and gives what the rectangles give; a UserWarning says why not."""
    try:
        differs = _largest_difference(device, dtype, causal)
    except (RuntimeError, ValueError) as error:
        reason = f"failed ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    else:
        if differs <= TOLERANCE:
            return True
        reason = f"differs by {differs:.2g}"
    text = f"attention over texts of unequal length {reason} on {device} in {dtype}; they go length by length instead"
    warnings.warn(text, UserWarning, stacklevel=2)
    return False


def _largest_difference(device: torch.device, dtype: torch.dtype, causal: bool) -> float:
    generator = torch.Generator().manual_seed(0)
    length = sum(run.count * run.length for run in SAMPLE)
    drawn = (torch.randn(heads, length, 64, generator=generator) for heads in (4, 2, 2))
    query, key, value = (tensor.to(device, dtype).requires_grad_() for tensor in drawn)
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        both = attend(query, key, value, SAMPLE, causal), _by_rectangles(query, key, value, SAMPLE, causal)
        found, expected = ([out.detach(), *torch.autograd.grad(out.float().sum(), (query, key, value))] for out in both)
    return max(_difference(*two) for two in zip(found, expected, strict=True))


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest one, in units of the largest value where that is above 1."""
    return float((found.float() - expected.float()).abs().max() / expected.float().abs().max().clamp(min=1))


def _by_rectangles(query: Tensor, key: Tensor, value: Tensor, runs: Sequence[Run], causal: bool) -> Tensor:
    cut = (rectangles(tensor.transpose(0, 1), runs) for tensor in (query, key, value))
    parts = []
    for three in zip(*cut, strict=True):
        q, k, v = (part.transpose(1, 2) for part in three)
        out = scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
        parts.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(parts)
