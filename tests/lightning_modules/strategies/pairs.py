"""Every strategy of conf/ on a tiny model of every family, and which of these pairs are refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from hydra.utils import instantiate
from torch import Tensor

from datamodules.types import Items
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.virtual_tokens import virtual_length
from tests.lightning_modules.padding import pad

FOLDER = Path(__file__).resolve().parents[3] / "conf" / "strategy"
FAMILIES = ("bert", "gpt2", "llama", "t5")
OTHERS = ("roberta", "distilbert", "modernbert", "electra", "qwen3", "mistral", "albert")
LENGTHS = (9, 3, 20, 3, 12)
TINY = {name: {"reduction": 4, "activation": "gelu"} for name in ("houlsby", "pfeiffer", "parallel", "compacter")}
"""For a model of 32 dimensions, of which the default reductions leave two, and of these relu may silence one."""


def settings_of(name: str) -> dict:
    """What a strategy's YAML says of the strategy itself."""
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return content.get("strategy", content)


STRATEGIES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
PAIRS = [(name, family) for name in STRATEGIES for family in FAMILIES]


@dataclass(frozen=True)
class Outcome:
    """Of building a pair: the encoder, or why it was refused."""

    encoder: Encoder | None
    reason: str = ""


def build(name: str, folder: Path, seed: int = 0, small: bool = True) -> Encoder:
    """The pair, as a run would build it. Raises ValueError where it is refused."""
    torch.manual_seed(seed)
    strategy = instantiate(settings_of(name) | (TINY.get(name, {}) if small else {}))
    return Encoder(LanguageModelBackbone(str(folder)), strategy)


def attempt(name: str, folder: Path) -> Outcome:
    """The pair, or the refusal's words."""
    try:
        return Outcome(build(name, folder))
    except ValueError as refusal:
        return Outcome(None, str(refusal))


def pretrained_names(encoder: Encoder) -> Mapping[str, Tensor]:
    """Parameters of the pretrained module, by name."""
    return dict(encoder.backbone.pretrained.named_parameters())


def own_forward(encoder: Encoder, items: Items, model: torch.nn.Module | None = None) -> Tensor:
    """Mean-pooled output of a model's own forward, on padded texts; virtual tokens aside."""
    model = encoder.backbone.pretrained if model is None else model
    tokens, mask = pad(items.tokens, encoder.backbone.pretrained.config.pad_token_id or 0)
    hidden = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state[:, -tokens.shape[1] :]
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def virtual(encoder: Encoder) -> bool:
    """Whether the strategy puts tokens in that the model's own forward does not know of."""
    return virtual_length(encoder.backbone.pretrained) > 0


def perturb(encoder: Encoder, size: float = 0.1) -> None:
    """Noise on everything of the strategy's that trains."""
    with torch.no_grad():
        for item in encoder.trainable():
            item.parameter.add_(size * torch.randn_like(item.parameter))


def train(encoder: Encoder, token_items, steps: int = 3) -> None:
    """Some steps on other texts each time, with what a strategy does beside them."""
    parameters = [item.parameter for item in encoder.trainable()]
    optimizer = torch.optim.AdamW(parameters or [torch.zeros(1, requires_grad=True)], lr=1e-2)
    encoder.train()
    for step in range(steps):
        vectors = encoder(token_items(*LENGTHS, seed=step))
        loss = (vectors * torch.randn(vectors.shape)).sum()
        if encoder.plan.regulariser is not None:
            loss = loss + encoder.plan.regulariser()
        if loss.requires_grad:
            loss.backward()
        optimizer.step()
        if encoder.plan.after_step is not None:
            encoder.plan.after_step(step + 1, 10 * steps)
        optimizer.zero_grad()
