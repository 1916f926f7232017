"""Checkpoint and prepared data as artifacts of W&B, so that a run shows what it was made of and what came of it."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import wandb

from datamodules.preparing.prepared import Prepared
from experiments.runs.parents import LANGUAGE_MODEL


def log_made(run: Any, folder: Path, metrics: Mapping[str, float]) -> None:
    """What the run made: its best checkpoint, or the language model that it adapted. Nothing where nothing trained."""
    said = {name: value for name, value in metrics.items() if name.count("/") == 1}  # W&B takes 100; slices are more
    made = _made(folder, said)
    if made is not None:
        run.log_artifact(made, aliases=["best"])


def log_used(run: Any, prepared: Prepared, parents: Iterable[Path]) -> None:
    """What the run was made of: a description of the data (the data themselves stay where they are), and what its
    parents made."""
    used = [_data(prepared), *(_made(parent, {}) for parent in parents)]
    for artifact in filter(None, used):
        # use_artifact() refuses offline runs, though its record can be written and is sent later like any other
        run._log_artifact(artifact, is_user_created=True, use_after_commit=True)


def _made(folder: Path, metrics: dict[str, float]) -> wandb.Artifact | None:
    """The files stay in the run's folder until they are sent: no copy is made."""
    model = folder / LANGUAGE_MODEL
    best = folder / "best.ckpt"
    if not model.is_dir() and not best.is_file():
        return None
    artifact = wandb.Artifact(_named(folder.name), "model", metadata=metrics)
    if model.is_dir():
        artifact.add_dir(str(model), name=LANGUAGE_MODEL, policy="immutable")
    else:
        artifact.add_file(str(best), name=best.name, policy="immutable")
        artifact.add_file(str(folder / "config.json"), name="config.json")
    return artifact


def _data(prepared: Prepared) -> wandb.Artifact:
    content = {
        "name": prepared.name,
        "digest": prepared.digest,
        "users": len(prepared.users),
        "items": len(prepared.item_keys),
        "events": len(prepared.row),
    }
    artifact = wandb.Artifact(_named(f"data-{prepared.name}"), "dataset", metadata=content)
    with artifact.new_file("data.json") as file:
        file.write(json.dumps(content, indent=1))
    return artifact


def _named(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)[:128]
