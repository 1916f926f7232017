"""Checkpoints that are whole or absent, and hold nothing that would need code to be read."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames, so that a process killed in the middle leaves the former checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write to PATH.partial, then take PATH's place. What fails on the way, by a full disk say, leaves nothing."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
