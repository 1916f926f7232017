"""What a strategy does on one tiny model, measured: at step 0, after two steps of training, saved, and merged."""

from dataclasses import dataclass
from math import inf
from pathlib import Path

import peft
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.merging import mergeable, merged
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.loading import load_encoder
from lightning_modules.strategies.frozen import FrozenStrategy
from tests.lightning_modules.padding import pad
from tests.lightning_modules.strategies import pairs

STEPS = 2
PEFT_FAILS = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What peft's own forward ends in where it does not know how to put virtual tokens into a model."""


@dataclass(frozen=True)
class Column:
    """A tiny model, and how it is read."""

    folder: Path
    pooling: str = "mean"

    def encoder(self, strategy) -> Encoder:
        """In eval mode. Raises ValueError where the strategy refuses the model."""
        torch.manual_seed(0)
        return Encoder(LanguageModelBackbone(str(self.folder), pooling=self.pooling), strategy).eval()


@dataclass(frozen=True)
class Measured:
    """Of one pair. Differences are the largest of any entry of a text's vector.

    reason: why it was refused, whatever the model's class is called, "" where it works. identity: as declared. start:
    to the pretrained model at step 0. saved: in whose format. opened: to the saved folder opened by peft, which puts it
    on the model as transformers alone reads it; infinite where peft cannot run it, None where nothing is peft's.
    merged: to the merged folder, None where it cannot be merged. entry: the largest entry of any vector.
    """

    reason: str = ""
    identity: str = ""
    start: float = 0.0
    saved: str = ""
    opened: float | None = None
    merged: float | None = None
    entry: float = 0.0


def measure(name: str, column: Column, token_items, folder: Path) -> Measured:
    """Build, train, save and merge a strategy, and see that what trains matters."""
    items = token_items(*pairs.LENGTHS)
    base = column.encoder(FrozenStrategy())
    try:
        encoder = column.encoder(instantiate(pairs.settings_of(name) | pairs.TINY.get(name, {})))
    except ValueError as refusal:
        return Measured(reason=str(refusal).replace(type(base.backbone.pretrained).__name__, "the model"))
    with torch.no_grad():
        start = _largest(encoder(items) - base(items))
    pairs.train(encoder, token_items, steps=STEPS)
    with torch.no_grad():
        vectors = encoder.eval()(items)
        assert bool(torch.isfinite(vectors).all())
        measured = Measured(
            identity=encoder.plan.identity,
            start=start,
            saved=_format(encoder),
            opened=_opened(encoder, column, items, vectors, folder / "peft"),
            merged=_merged(encoder, column, items, vectors, folder / "merged"),
            entry=_largest(vectors),
        )
        pairs.perturb(encoder)
        moved = (encoder(items) - vectors).abs().amax(1)
    assert bool((moved > 1e-4).all()) == (name != "frozen"), (name, column)
    return measured


def _format(encoder: Encoder) -> str:
    if encoder.plan.adapter is None:
        return "weights" if encoder.trainable() else "the model as it is"
    module = type(encoder.plan.adapter.active_peft_config).__module__
    return "peft's" if module.startswith("peft.") else f"peft's, opens after `import {module}`"


def _opened(encoder: Encoder, column: Column, items, vectors: Tensor, folder: Path) -> float | None:
    if encoder.plan.adapter is None:
        return None
    encoder.plan.adapter.save_pretrained(folder)
    base = load_encoder(column.folder, decoder=column.pooling == "decoder")
    try:
        opened = peft.PeftModel.from_pretrained(base, folder).eval()
        return _largest(_said(opened, column, items) - vectors)
    except PEFT_FAILS:
        return inf


def _said(model: nn.Module, column: Column, items) -> Tensor:
    """The texts' vectors by the model's own forward on padded texts; a tower's are pooled already."""
    tokens, mask = pad(items.tokens, model.config.pad_token_id or 0)
    given = {"input_ids": tokens, "attention_mask": mask.long()}
    if column.pooling == "decoder":
        start = tokens.new_full((len(tokens), 1), model.config.decoder_start_token_id)
        return model(**given, decoder_input_ids=start).last_hidden_state[:, 0]
    said = model(**given)
    if model.active_peft_config.peft_type == "IISAN":
        return said.pooler_output
    hidden = said.last_hidden_state[:, -tokens.shape[1] :]
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _merged(encoder: Encoder, column: Column, items, vectors: Tensor, folder: Path) -> float | None:
    if not mergeable(encoder):
        return None
    merged(encoder).save_pretrained(folder)
    opened = Column(folder, column.pooling).encoder(FrozenStrategy())
    return _largest(opened(items) - vectors)


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max())
