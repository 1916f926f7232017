"""What each validation within training measured, for curves and for who decides whether a run is worth its end."""

import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.trainer.states import TrainerFn

FILE = "epochs.json"


class EpochsFile(pl.Callback):
    """Keeps FOLDER/epochs.json: a list with one object for each validation within training, of epoch (from 0), step,
    and every number that was logged by then. It travels in the checkpoint, so a resumed run has those before it too."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.epochs: list[dict[str, float]] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One more."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **measured})
        if trainer.is_global_zero:
            partial = self.path.with_name(f".{FILE}")
            partial.write_text(json.dumps(self.epochs, indent=1), encoding="utf-8")
            partial.replace(self.path)

    def state_dict(self) -> dict[str, Any]:
        """All so far."""
        return {"epochs": list(self.epochs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.epochs = list(state["epochs"])
