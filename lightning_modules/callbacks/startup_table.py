"""What trains, said before it does."""

import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table
from torch import nn


class StartupTable(pl.Callback):
    """Prints the parts of the model, how many of their parameters train, and the share of all."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            Console().print(startup_table(pl_module))


def startup_table(module: pl.LightningModule) -> Table:
    """One row for the pretrained model, one for each other part, one for their sum."""
    encoder, model = module.model.encoder, module.model
    pretrained = encoder.backbone.pretrained
    own = set() if pretrained is None else {id(p) for p in pretrained.parameters()}
    around = [p for p in encoder.parameters() if id(p) not in own]
    parts = {
        "language model": [] if pretrained is None else list(pretrained.parameters()),
        "around it (projection, ids, pooling)" if own else "item vectors": around,
        "interest": list(model.interest.parameters()),
        "head": list(model.head.parameters()),
    }
    table = Table("part", "trains", "of", "share of all", title=f"{_words(module)}", title_justify="left")
    total = sum(p.numel() for p in model.parameters())
    for name, parameters in {**parts, "together": list(model.parameters())}.items():
        if parameters:
            trained = sum(p.numel() for p in parameters if p.requires_grad)
            of = sum(p.numel() for p in parameters)
            table.add_row(name, f"{trained:,}", f"{of:,}", f"{trained / total:.2%}")
    return table


def _words(module: pl.LightningModule) -> str:
    encoder = module.model.encoder
    depth, lowest = encoder.backbone.depth, encoder.lowest
    layers = "" if not depth else f", layers {lowest} to {depth - 1} of {depth} train" if lowest < depth else ", no layer trains"
    return f"{_name(encoder.backbone)}, {_name(module.model.interest)}, {_name(module.model.head)}{layers}"


def _name(part: nn.Module) -> str:
    return type(part).__name__
