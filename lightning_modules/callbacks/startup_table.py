"""What trains, said before it does."""

from typing import cast

import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table
from torch import nn

from lightning_modules.parts.tapped import PooledTapped, TokenTapped
from lightning_modules.recommender import Recommender


class StartupTable(pl.Callback):
    """Prints the parts of the model, how many of their parameters train, and the share of all."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        model = pl_module.model
        if trainer.is_global_zero and isinstance(model, Recommender):
            Console().print(startup_table(model))


def startup_table(model: Recommender) -> Table:
    """One row for the pretrained model, one for each other part, one for their sum."""
    table = Table("part", "trains", "of", "share of all", title=_words(model), title_justify="left")
    total = _size(list(model.parameters()))
    for name, parameters in _parts(model).items():
        if parameters:
            trained = _size([p for p in parameters if p.requires_grad])
            table.add_row(name, f"{trained:,}", f"{_size(parameters):,}", f"{trained / total:.2%}")
    return table


def _parts(model: Recommender) -> dict[str, list[nn.Parameter]]:
    pretrained, reading = model.encoder.backbone.pretrained, model.encoder.plan.reading
    inside = [] if pretrained is None else list(pretrained.parameters())
    beside = [] if reading is None else list(cast(nn.Module, reading).parameters())
    known = {id(parameter) for parameter in (*inside, *beside)}
    around = [p for p in model.encoder.parameters() if id(p) not in known]
    return {
        "language model": inside,
        "beside it: what reads its layers": beside,
        "around it: projection, ids, pooling" if inside else "item vectors": around,
        "interest": [p for name, p in model.named_parameters() if name.startswith("interest.")],
        "head": [p for name, p in model.named_parameters() if name.startswith("head.")],
        "together": list(model.parameters()),
    }


def _words(model: Recommender) -> str:
    backbone, lowest = model.encoder.backbone, model.encoder.lowest
    depth = backbone.depth
    if isinstance(backbone, TokenTapped | PooledTapped):
        backbone = backbone.inner
        depth = backbone.depth
    names = [type(part).__name__ for part in (backbone, model.interest, model.head)]
    if depth:
        names.append(f"layers {lowest} to {depth - 1} of {depth} train" if lowest < depth else "no layer trains")
        names.append("texts packed" if backbone.packs else "texts of one length at a time")
    return ", ".join(names)


def _size(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
