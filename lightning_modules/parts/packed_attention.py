"""Attention over texts that stand end to end in one row, each within itself.

Registered with transformers as the attention implementation `packed`. A model called layer by layer on one long row
(1, L, D) hands the layers `runs`; each run of equally long texts is a rectangle without padding, a view of the row, and
goes through transformers' own scaled dot-product attention, which knows causality and grouped keys. Where a GPU has a
kernel for texts of unequal length, one call takes them all (module `varlen_attention`). Called without `runs`, as by
the model's own forward, it is transformers' attention.

The result is that of block-diagonal attention over the row (Krell et al. 2021, "Efficient Sequence Packing without
Cross-contamination", section 3.2.2), without the blocks off the diagonal ever being computed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from lightning_modules.parts import varlen_attention
from lightning_modules.parts.runs import Run, rectangles

PACKED = "packed"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    runs: Sequence[Run] | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """query, key, value: (1, heads, L, size) -> (1, L, heads, size), as transformers' interface asks."""
    if runs is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
        return output, None
    causal = settings.get("is_causal")
    causal = bool(getattr(module, "is_causal", True) if causal is None else causal)
    if varlen_attention.serves(query.device, query.dtype, query.shape[-1], causal, **settings):
        scaling = settings.get("scaling")
        return varlen_attention.attend(query[0], key[0], value[0], runs, causal, scaling)[None], None
    parts = []
    for rectangle in zip(*(rectangles(tensor[0].transpose(0, 1), runs) for tensor in (query, key, value)), strict=True):
        output, _ = sdpa_attention_forward(module, *(part.transpose(1, 2) for part in rectangle), None, **settings)
        parts.append(output.flatten(0, 1))
    return torch.cat(parts)[None], None


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, sdpa_mask)
