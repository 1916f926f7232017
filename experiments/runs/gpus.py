"""Parallel jobs of one machine do not share a GPU: a job holds a lease on each of its own."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from datamodules.storage import LeaseTaken, lease
from experiments.config.hardware import Gpu
from experiments.runs.waiting import Patience


@contextmanager
def leased(
    visible: tuple[Gpu, ...], count: int, message: str = "", stop: Callable[[], bool] | None = None
) -> Iterator[tuple[str, ...]]:
    """Addresses of `count` GPUs that no other job of this machine and user holds; waits until so many are free.
    message, stop: see `Patience`.

    Where fewer are visible than asked for, all visible ones: Lightning then says what is wrong.
    """
    needed, patience = min(count, len(visible)), Patience(message, stop)
    while True:
        with ExitStack() as stack:
            held = _free(visible, needed, stack)
            if len(held) == needed:
                yield held
                return
        patience.pause()  # all are given back first, so that two jobs never wait for each other's half


def _free(visible: tuple[Gpu, ...], needed: int, stack: ExitStack) -> tuple[str, ...]:
    folder = Path(tempfile.gettempdir()) / f"interestlab-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    held: list[str] = []
    for gpu in visible:
        if len(held) < needed:
            try:
                stack.enter_context(lease(folder / (gpu.uuid or gpu.address.replace("/", "_")), wait=False))
            except LeaseTaken:
                continue
            held.append(gpu.address)
    return tuple(held)
