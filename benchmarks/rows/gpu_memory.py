"""Rows of a GPU about its memory: a step that runs out of it is made again, and what is frozen stays on the host."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain

import torch
from torch import Tensor

from benchmarks.loops import ours
from benchmarks.loops.place import Place
from benchmarks.loops.setting import batch, catalogue, placed
from benchmarks.measuring.row import Row
from benchmarks.rows.gpu_checks import QUICK_USERS, USERS, check_row, gradients, setting_of, taken, tokens_of
from benchmarks.rows.gradients import differences
from lightning_modules.interest_module import InterestModule
from lightning_modules.parts.encoder import Encoder
from lightning_modules.types import State

SAME_LOSS, OF_STATES = 1e-5, 0.1
LEFT = 0.6
"""Share of what a step takes that it gets: a half must fit, the whole must not."""


def retried(place: Place) -> list[Row]:
    """A step gets less memory than it takes; without dropout, smaller chunks change its loss by rounding alone.

    All texts are one chunk at first, so that computing activations again helps nothing and chunks have to be halved.
    Raises `RuntimeError` where memory did not run out, or chunks stayed whole.
    """
    setting = setting_of(place)
    data, module = ours.made(setting)
    asked, encoder = batch(data, 0), module.eval().model.encoder
    whole = encoder.tokens_per_chunk = tokens_of(asked)
    place.forget()
    before, kept = place.allocated(), gradients(module, asked, setting, 1)
    need = int(LEFT * (place.peak() - before))
    module.zero_grad()
    losses: list[float] = []

    def compute() -> Tensor:
        loss = module.model.loss(placed(asked, setting.device), module.loss)
        losses.append(float(loss.detach()))
        return loss

    expected = float(compute().detach())
    with ceiling(place, encoder, need, int(LEFT * whole)):
        step(module, compute)
    if not (encoder.recompute and encoder.tokens_per_chunk < whole):
        raise RuntimeError(f"a step that took {need / LEFT / 2**20:.0f} MiB more did not run out of {LEFT:.0%} of them")
    moved = differences(taken(module), kept)
    detail = {"chunks": [whole, encoder.tokens_per_chunk], "losses": losses, "gradients_moved": max(moved.values())}
    found = abs(losses[-1] - expected) / abs(expected)
    simulated = "" if place.device == "cuda" else " (simulated: a CPU has no such limit)"
    what = f"loss of a step that ran out of memory{simulated}: difference of smaller chunks"
    return [check_row(place, "gpu_out_of_memory", what, "relative", found, SAME_LOSS, detail)]


def step(module: InterestModule, compute: Callable[[], Tensor]) -> None:
    """Forward and backward pass as a run makes them."""
    stand_in = module.memory.forward(compute)
    module.memory.backward(stand_in.backward, module.parameters(), nullcontext)


def ceiling(place: Place, encoder: Encoder, more: int, tokens: int) -> AbstractContextManager[None]:
    """Too little memory for the whole step: in truth on a GPU, else for more than so many tokens at once."""
    return place.ceiling(more) if place.device == "cuda" else simulated(encoder, tokens)


@contextmanager
def simulated(encoder: Encoder, tokens: int) -> Iterator[None]:
    """The language model cannot hold more than so many tokens."""
    run = encoder.backbone.run

    def limited(state: State, start: int, stop: int) -> State:
        if len(state.hidden) > tokens:
            raise torch.OutOfMemoryError(f"{len(state.hidden)} tokens at once, and there is room for {tokens}")
        return run(state, start, stop)

    encoder.backbone.run = limited  # type: ignore[method-assign]
    try:
        yield
    finally:
        del encoder.backbone.run


def host_states(place: Place) -> list[Row]:
    """States of frozen layers stay in the host's memory: what the device holds beyond the model, as a share of them."""
    setting = place.setting("mind", "top_k", QUICK_USERS if place.quick else USERS)
    ours.made(setting)  # libraries take memory for themselves at their first call
    place.clear()
    before = place.allocated()
    data, module = ours.made(setting)
    states = catalogue(data, setting.device).states
    assert states is not None
    place.clear()
    model = sum(size(tensor) for tensor in chain(module.parameters(), module.buffers()))
    more = max(place.allocated() - before - model, 0) / size(states.values)
    away = states.values.device.type != "cpu"
    detail = {"states_mib": size(states.values) / 2**20, "model_mib": model / 2**20, "on_the_device": away}
    what = "frozen token states: what the device holds beyond the model, as a share of them"
    return [check_row(place, "gpu_host_states", what, "share", more + away, OF_STATES, detail)]


def size(tensor: Tensor) -> int:
    """Bytes."""
    return tensor.numel() * tensor.element_size()
