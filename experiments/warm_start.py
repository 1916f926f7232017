"""What a run that begins around a frozen language model takes over from the run that trained there before."""

from pathlib import Path

import torch
from torch import nn

from lightning_modules.interest_module import InterestModule


def warm_start(module: InterestModule, folder: Path) -> None:
    """Take over what a run trained around its frozen language model. Raises ValueError, with names, where anything that
    this run trains there was not trained by that one."""
    own = _outside_the_language_model(module)
    state = torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    given = {_plain(name): value for name, value in state.items()}
    missing = [name for name in own if _plain(name) not in given or given[_plain(name)].shape != own[name].shape]
    if missing:
        raise ValueError(
            f"parent {folder.name} lacks {len(missing)} of the {len(own)} tensors that this run trains outside the "
            f"language model, such as {missing[0]}: give both the same interest and head"
        )
    module.load_state_dict({name: given[_plain(name)] for name in own}, strict=False)
    print(f"begins with {len(own)} tensors of {folder.name}")


def _outside_the_language_model(module: InterestModule) -> dict[str, nn.Parameter]:
    of_strategy = {f"model.encoder.{entry.name}" for entry in module.model.encoder.trainable() if entry.of_strategy}
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    return {name: parameter for name, parameter in trained.items() if name not in of_strategy}


def _plain(name: str) -> str:
    """A tensor's name, whether or not a network reads the backbone from beside it (`parts.tapped`)."""
    return name.replace("backbone.read.backbone.", "backbone.")
