"""Attention over texts that stand end to end in one row, each within itself.

Registered with transformers as the attention implementation `packed`. A model called layer by layer on one long row
(1, L, D) hands the layers `runs`; each run of equally long texts is a rectangle without padding, a view of the row, and
goes through transformers' own scaled dot-product attention, which knows causality and grouped keys. Where a GPU has a
kernel for texts of unequal length, one call takes them all (module `varlen_attention`). Called without `runs`, as by
the model's own forward, it is transformers' attention.

The result is that of block-diagonal attention over the row (Krell et al. 2021, "Efficient Sequence Packing without
Cross-contamination", section 3.2.2), without the blocks off the diagonal ever being computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from lightning_modules.parts import varlen_attention
from lightning_modules.parts.runs import Run, rectangles
from lightning_modules.parts.virtual_tokens import KeysValues

PACKED = "packed"

Bias = Callable[[int], Float[Tensor, "1 heads S S"]]
"""Length of a text -> what is added to its attention scores (T5). Virtual tokens before a text count as its own."""


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    runs: Sequence[Run] | None = None,
    prefix: KeysValues | None = None,
    position_bias: Any = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """query, key, value: (1, heads, L, size) -> (1, L, heads, size), as transformers' interface asks. position_bias: a
    `Bias`; from the model's own forward a tensor."""
    if runs is None:
        bias = {} if position_bias is None else {"position_bias": position_bias}
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **bias, **settings)
        return output, None
    query, key, value = _rounded_alike(query, key, value)
    causal, window = _causal(module, settings), settings.get("sliding_window")
    before = 0 if prefix is None else prefix.keys.shape[1]
    plain = prefix is None and position_bias is None and all(window is None or run.length <= window for run in runs)
    if plain and varlen_attention.serves(query.device, query.dtype, query.shape[-1], causal, **settings):
        scaling = settings.get("scaling")
        return varlen_attention.attend(query[0], key[0], value[0], runs, causal, scaling)[None], None
    parts = []
    for cut in zip(*(rectangles(tensor[0].transpose(0, 1), runs) for tensor in (query, key, value)), strict=True):
        q, k, v = (part.transpose(1, 2) for part in cut)
        if prefix is not None:
            k, v = _behind(prefix.keys, k), _behind(prefix.values, v)
        seen = visible(q.shape[2], causal, window, before, q.device)
        bias = {} if position_bias is None else {"position_bias": position_bias(k.shape[2])[..., before:, :]}
        output, _ = sdpa_attention_forward(module, q, k, v, seen, **bias, **settings)
        parts.append(output.flatten(0, 1))
    return torch.cat(parts)[None], None


def visible(
    length: int, causal: bool, window: int | None, before: int, device: torch.device
) -> Bool[Tensor, "1 1 S K"] | None:
    """What each of a text's S tokens sees of `before` virtual tokens, which stand in the places in front of it, and of
    the text's own: none after itself where attention is causal, none `window` or more places away. None where that is
    all of them, or no more than `is_causal` says."""
    narrow = window is not None and before + length > window
    if not narrow and not (causal and before):
        return None
    places = torch.arange(before + length, device=device)
    distance = places[before:, None] - places
    seen = (distance >= 0) if causal else torch.ones_like(distance, dtype=torch.bool)
    if window is not None:
        seen &= distance.abs() < window
    return seen[None, None]


def _rounded_alike(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Under autocast all three in half precision, as scaled dot-product attention would make them. Rotary positions and
    some of peft's layers leave one or two of them in float32, and the kernel for unequal lengths wants one type."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in tensors)


def _behind(prefix: Float[Tensor, "K P size"], own: Float[Tensor, "U K S size"]) -> Float[Tensor, "U K M size"]:
    return torch.cat([prefix.to(own.dtype).expand(len(own), -1, -1, -1), own], dim=2)


def _causal(module: nn.Module, settings: dict[str, Any]) -> bool:
    asked = settings.get("is_causal")
    return bool(getattr(module, "is_causal", True) if asked is None else asked)


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, sdpa_mask)
