"""Encoders with virtual tokens, and what they are held against."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from datamodules.types import Items
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.strategies.p_tuning import PTuningStrategy
from lightning_modules.strategies.prefix import PrefixStrategy
from lightning_modules.strategies.prompt import PromptStrategy
from lightning_modules.types import Strategy
from tests.lightning_modules.padding import pad

LENGTHS = (9, 3, 20, 3, 1, 12)
METHODS: dict[str, Callable[[], Strategy]] = {
    "prompt": lambda: PromptStrategy(virtual_tokens=4),
    "p_tuning": lambda: PTuningStrategy(virtual_tokens=4, hidden=24),
    "prefix": lambda: PrefixStrategy(virtual_tokens=4),
    "prefix_made": lambda: PrefixStrategy(virtual_tokens=4, projection=24),
}
PREFIXES = ("prefix", "prefix_made")
PEFT_CAN = ("bert", "roberta", "electra", "gpt2", "llama", "mistral", "qwen2", "qwen3")
PEFT_CANNOT_PREFIX = ("distilbert", "modernbert", "t5")

over_methods = pytest.mark.parametrize("method", METHODS)
over_prefixes = pytest.mark.parametrize("method", PREFIXES)


def build(method: str, folder: Path, seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(LanguageModelBackbone(str(folder)), METHODS[method]()).eval()


def frozen(folder: Path) -> Encoder:
    return Encoder(LanguageModelBackbone(str(folder)), FrozenStrategy()).eval()


def perturbed(method: str, folder: Path) -> Encoder:
    encoder = build(method, folder)
    with torch.no_grad():
        for item in encoder.trainable():
            item.parameter.add_(0.5 * torch.randn_like(item.parameter))
    return encoder


def own_forward(model: nn.Module, items: Items, padding: int) -> Tensor:
    """Mean over a text's own tokens of what a model's own forward says of padded texts."""
    tokens, mask = pad(items.tokens, padding)
    hidden = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state[:, -tokens.shape[1] :]
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def padding_of(encoder: Encoder) -> int:
    return encoder.backbone.pretrained.config.pad_token_id or 0


def assert_near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-6)


def pefts_old_names(test: Callable) -> Callable:
    """peft 0.21.2 still calls transformers 5.24 by old names (seen on 2026-11-25)."""
    for name in ("is_gradient_checkpointing", "past_key_values"):
        test = pytest.mark.filterwarnings(f"ignore:`{name}` is deprecated:FutureWarning")(test)
    return test
