"""Rows of a GPU that are no speeds: it computes what the CPU computes, and computing again changes nothing."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from benchmarks.loops import ours
from benchmarks.loops.place import Place
from benchmarks.loops.setting import Setting, batch, placed
from benchmarks.measuring.row import Row, Side
from benchmarks.rows.gradients import Gradients, differences
from datamodules.types import Batch
from lightning_modules.interest_module import InterestModule

TEXTS, USERS, QUICK_USERS = 512, 32, 2
SAME_VECTORS, SAME_GRADIENTS = 1e-4, 1e-6
CHUNKS = 4
"""Into so many the texts of a step are cut."""


@torch.no_grad()
def forward(place: Place) -> list[Row]:
    """Texts packed end to end, in float32: the device's vectors against those of the CPU."""
    data, module = ours.made(Setting("ml100k", "full", 1, words=setting_of(place).words))
    items, encoder = data.items(np.arange(min(TEXTS, data.log.n_items))), module.model.encoder.eval()
    here = encoder(items)
    there = encoder.to(place.device)(placed(items, place.device)).cpu()
    what = "packed forward pass in fp32: largest difference of a vector's entry from the CPU's"
    detail = {"texts": len(items), "largest_entry": float(here.abs().max())}
    return [check_row(place, "gpu_forward", what, "absolute", float((here - there).abs().max()), SAME_VECTORS, detail)]


def recomputed(place: Place) -> list[Row]:
    """Gradients with activations thrown away and computed again, dropout on, from the same random state.

    Raises `RuntimeError` where another random state changes nothing: then dropout was off.
    """
    return [_recomputed(place, half) for half in (False, True)]


def _recomputed(place: Place, half: bool) -> Row:
    setting = setting_of(place, half)
    data, module = ours.made(setting)
    asked, encoder = batch(data, 0), module.model.encoder
    encoder.tokens_per_chunk = tokens_of(asked) // CHUNKS
    kept, other = (gradients(module, asked, setting, seed) for seed in (1, 2))
    encoder.recompute = True
    found = differences(gradients(module, asked, setting, 1), kept)
    moved = max(differences(other, kept).values())
    if not moved > SAME_GRADIENTS:
        raise RuntimeError("another random state gives the same gradients: dropout was off, so nothing was checked")
    worst, kind = max(found, key=lambda name: found[name]), "bf16" if half else "fp32"
    what = f"gradients in {kind} with encoder.recompute and dropout: largest difference from those without"
    detail = {"worst": worst, "tensors": len(found), "moved_by_another_random_state": moved}
    return check_row(place, f"gpu_recompute_{kind}", what, "relative", found[worst], SAME_GRADIENTS, detail)


def gradients(module: InterestModule, asked: Batch, setting: Setting, seed: int) -> Gradients:
    """Of one step's loss, from a random state."""
    torch.manual_seed(seed)
    module.zero_grad()
    with setting.precision():
        loss = module.model.loss(placed(asked, setting.device), module.loss)
    loss.backward()
    return taken(module)


def taken(module: nn.Module) -> Gradients:
    """Copies of the gradients there are, by name."""
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def setting_of(place: Place, half: bool = False) -> Setting:
    """What the checks work on."""
    return place.setting("ml100k", "full", QUICK_USERS if place.quick else USERS, half=half)


def tokens_of(asked: Batch) -> int:
    """All that the language model reads in a step."""
    assert asked.items.tokens is not None
    return len(asked.items.tokens.values)


def check_row(
    place: Place, name: str, what: str, unit: str, found: float, limit: float, detail: Mapping[str, object]
) -> Row:
    """Something found that may not exceed a limit."""
    sides = [
        Side(side, f"python -m benchmarks.gpu checks --device {place.device}") for side in ("found", "as it is due")
    ]
    return Row(name, what, unit, sides, found, limit, at_most=True, detail=detail)
