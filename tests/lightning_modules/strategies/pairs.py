"""Every strategy of conf/ on a tiny model of every family, and which of these pairs are refused."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from hydra.utils import instantiate
from torch import Tensor
from transformers import AutoConfig, AutoModel

from datamodules.types import Items
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.families import roles_of
from lightning_modules.parts.injection import ending
from lightning_modules.parts.virtual_tokens import virtual_length
from lightning_modules.types import Strategy
from tests.lightning_modules.padding import pad

FOLDER = Path(__file__).resolve().parents[3] / "conf" / "strategy"
FAMILIES = ("bert", "gpt2", "llama", "t5")
OTHERS = ("roberta", "distilbert", "modernbert", "electra", "qwen3", "mistral", "albert")
LENGTHS = (9, 3, 20, 3, 12)
TINY = {name: {"reduction": 4, "activation": "gelu"} for name in ("houlsby", "pfeiffer", "parallel", "compacter")}
TINY |= {"top_k": {"k": 1}}
"""For a model of 32 dimensions, of which the default reductions leave two, and of these relu may silence one; and of 2
layers, of which top_k should leave one."""

SOFTMAX_IGNORES = "key.bias"
"""Adds the same to every score of a query, so its gradient is rounding alone."""


def settings_of(name: str) -> dict:
    """What a strategy's YAML says of the strategy itself."""
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return content.get("strategy", content)


STRATEGIES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
PAIRS = [(name, family) for name in STRATEGIES for family in FAMILIES]


def attentive(folder: Path, layers: int = 2) -> Path:
    """A model of the same kind beside it, of other weights, with matrices five times as large as at their usual start:
    there attention is so nearly even that a lost query moves little more than rounding. T5's start is large enough."""
    copy = folder.with_name(f"{folder.name}-attentive-{layers}")
    if not copy.exists():
        config = AutoConfig.from_pretrained(folder)
        config.num_hidden_layers = layers
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            model = AutoModel.from_config(config)
            for parameter in model.parameters():
                parameter.mul_(5 if parameter.dim() > 1 and config.model_type != "t5" else 1)
        shutil.copytree(folder, copy)  # with a tokenizer, where there is one
        model.save_pretrained(copy)
    return copy


@dataclass(frozen=True)
class Outcome:
    """Of building a pair: the encoder, or why it was refused."""

    encoder: Encoder | None
    reason: str = ""


def strategy_of(name: str, small: bool = True) -> Strategy:
    """As its YAML has it, or with what a small model asks for."""
    return instantiate(settings_of(name) | (TINY.get(name, {}) if small else {}))


def build(name: str, folder: Path, seed: int = 0, small: bool = True) -> Encoder:
    """The pair, as a run would build it. Raises ValueError where it is refused."""
    torch.manual_seed(seed)
    return Encoder(LanguageModelBackbone(str(folder)), strategy_of(name, small))


def attempt(name: str, folder: Path) -> Outcome:
    """The pair, or the refusal's words."""
    try:
        return Outcome(build(name, folder))
    except ValueError as refusal:
        return Outcome(None, str(refusal))


def pretrained_names(encoder: Encoder) -> Mapping[str, Tensor]:
    """Parameters of the pretrained module, by name."""
    return dict(encoder.backbone.pretrained.named_parameters())


def names_that_train(encoder: Encoder) -> set[str]:
    """Of what trains, every name under which it stands in the encoder's state."""
    trained = {id(item.parameter) for item in encoder.trainable()}
    return {key for key, value in encoder.state_dict(keep_vars=True).items() if id(value) in trained}


def of_role(role: str, encoder: Encoder, name: str) -> list[Tensor]:
    """Parameters of that name of what a strategy put where a model keeps a role, layer by layer."""
    place = re.compile(rf"{ending(roles_of(encoder.backbone.pretrained)[role])}\.{re.escape(name)}")
    return [parameter for key, parameter in pretrained_names(encoder).items() if place.fullmatch(key)]


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
    """Some steps on other texts each time, with what a strategy does beside them. The optimizer has all tensors and
    lets none decay: what stays got no gradient, and what moves got one."""
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2, weight_decay=0.0)
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


def gradients(encoder: Encoder, *batches: Items) -> dict[str, Tensor]:
    """Of what trains, by name: the sum over the batches of what a sum of squared vectors sends back."""
    encoder.zero_grad()
    for items in batches:
        vectors = encoder(items)
        if vectors.requires_grad:
            vectors.square().sum().backward()
    return {item.name: item.parameter.grad.clone() for item in encoder.trainable()}


def assert_same_gradients(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Each says something, and the two differ by a ten thousandth of its largest entry at most."""
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        if not name.endswith(SOFTMAX_IGNORES):
            largest = float(gradient.abs().max())
            assert largest > 1e-5, name
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-4 * largest, msg=name)
