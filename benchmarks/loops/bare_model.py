"""The bare language model as in `loops.bare`, on any device and of any size: texts of one length, side by side, without
mask or padding, through Hugging Face's model, a loss and an optimiser."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_

from benchmarks.loops.plain_model import PlainEncoder
from benchmarks.loops.setting import CLIP, Setting
from benchmarks.measuring.serving import Counts, Turn


def loop(folder: Path, texts: int, length: int, tokens: int, setting: Setting) -> Turn:
    """A turn is one step of full fine-tuning on random tokens. tokens: at once. setting: device and precision."""
    model = PlainEncoder(folder, "full").model.train().to(setting.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    ids = torch.randint(model.config.vocab_size, (texts, length), device=setting.device)
    direction = torch.randn(model.config.hidden_size, device=setting.device)

    def turn(number: int) -> Counts:
        for part in ids.split(max(tokens // length, 1)):
            (pooled(model, part, setting.precision()) @ direction).sum().backward()
        clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return {"texts": texts, "tokens": texts * length, "squares": texts * length**2, "steps": 1}

    return turn


def pooled(model: Any, ids: torch.Tensor, precision: AbstractContextManager[Any]) -> torch.Tensor:
    """The mean of the last states, in float32."""
    with precision:
        hidden = model(input_ids=ids).last_hidden_state
    return hidden.float().mean(1)
