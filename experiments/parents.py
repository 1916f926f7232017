"""Runs that begin where others ended: with an adapted language model, or with what a run trained around a frozen one.

`parents=[RUN]` names finished runs of `runs_dir`. A parent that adapted a language model gives it; one that trained a
recommender gives every tensor of interest, head, projection and item ids that the new run has too, in its shape. The
parents' ids are part of the run's own.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.check import ConfigError, nodes
from experiments.runs.folder import RunFolder

if TYPE_CHECKING:
    from lightning_modules.interest_module import InterestModule

LANGUAGE_MODEL = "language_model"
"""The folder in which a run that adapts leaves its model."""


def adopt(config: dict[str, Any]) -> None:
    """Name parents by their ids, and read the language model from the one that adapted it. Raises `ConfigError` for a
    parent that is not there or not finished."""
    folders = parent_folders(config)
    unfit = [folder.name for folder in folders if RunFolder(folder).read("result.json").get("status") != "done"]
    if unfit:
        raise ConfigError([f"parents: {name} is no finished run in {config['runs_dir']}" for name in unfit])
    adapted = [folder / LANGUAGE_MODEL for folder in folders if (folder / LANGUAGE_MODEL).is_dir()]
    if len(adapted) > 1:
        raise ConfigError([f"parents: {len(adapted)} of them adapted a language model, and a run begins with one"])
    for _, node in nodes(config.get("backbone") or {}):
        if adapted and "path" in node:
            node["path"] = str(adapted[0])
    config["parents"] = [folder.name for folder in folders]


def parent_folders(config: dict[str, Any]) -> list[Path]:
    """Where the parents lie: a run's id, or its path."""
    return [Path(config["runs_dir"]) / Path(str(name)).name for name in config.get("parents") or ()]


def warm_start(module: "InterestModule", folders: Iterable[Path]) -> None:
    """Take over what the parents trained outside the language model. Raises ValueError where a parent that trained a
    recommender has nothing that fits."""
    import torch

    own = _outside_the_language_model(module)
    for folder in folders:
        if not (folder / "best.ckpt").is_file():
            continue
        state = torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"]
        given = {_plain(name): value for name, value in state.items()}
        fitting = {name for name in own if _plain(name) in given and given[_plain(name)].shape == own[name].shape}
        if not fitting:
            raise ValueError(
                f"parent {folder.name} trained nothing that this run has too: give both the same interest and head"
            )
        module.load_state_dict({name: given[_plain(name)] for name in fitting}, strict=False)


def _outside_the_language_model(module: "InterestModule") -> dict[str, Any]:
    of_strategy = {f"model.encoder.{entry.name}" for entry in module.model.encoder.trainable() if entry.of_strategy}
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    return {name: parameter for name, parameter in trained.items() if name not in of_strategy}


def _plain(name: str) -> str:
    """A tensor's name, whether or not a network reads the backbone from beside it (`parts.tapped`)."""
    return name.replace("backbone.read.backbone.", "backbone.")
