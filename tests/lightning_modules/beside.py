"""Encoders whose model is frozen and read by a network beside it."""

import pytest
import torch

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.strategies.iisan import IisanStrategy
from lightning_modules.strategies.side import SideStrategy

FAMILIES = ("bert", "gpt2", "llama", "t5", "distilbert", "modernbert", "electra", "roberta", "qwen3")
LENGTHS = (9, 3, 20, 3, 12)
BOTH = {"side": SideStrategy, "iisan": IisanStrategy}

over_families = pytest.mark.parametrize("family", FAMILIES)


def build(name, folder, every=1, seed=0, **backbone):
    """An encoder with a network beside its model, by default reading each layer."""
    torch.manual_seed(seed)
    return Encoder(LanguageModelBackbone(str(folder), **backbone), BOTH[name](every=every))


def perturb(encoder):
    """Noise on everything that trains."""
    with torch.no_grad():
        for item in encoder.trainable():
            item.parameter.add_(0.2 * torch.randn_like(item.parameter))
