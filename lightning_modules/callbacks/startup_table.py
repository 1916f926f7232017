"""What trains, said before it does."""

import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table
from torch import nn

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
    pretrained = model.encoder.backbone.pretrained
    inside = [] if pretrained is None else list(pretrained.parameters())
    known = {id(parameter) for parameter in inside}
    around = [p for p in model.encoder.parameters() if id(p) not in known]
    return {
        "language model": inside,
        "around it: projection, ids, pooling" if inside else "item vectors": around,
        "interest": [p for name, p in model.named_parameters() if name.startswith("interest.")],
        "head": [p for name, p in model.named_parameters() if name.startswith("head.")],
        "together": list(model.parameters()),
    }


def _words(model: Recommender) -> str:
    names = [type(part).__name__ for part in (model.encoder.backbone, model.interest, model.head)]
    depth, lowest = model.encoder.backbone.depth, model.encoder.lowest
    if depth:
        names.append(f"layers {lowest} to {depth - 1} of {depth} train" if lowest < depth else "no layer trains")
        names.append("texts packed" if model.encoder.backbone.packs else "texts of one length at a time")
    return ", ".join(names)


def _size(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
