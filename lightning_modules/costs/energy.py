"""Joules that the machine drew, where it can tell.

Processor packages count in /sys/class/powercap (Intel's and AMD's running average power limit; readable by the
superuser alone on most machines), NVIDIA cards from Volta on through NVML (`pip install nvidia-ml-py`). Both count all
that draws from them, so other jobs of the machine are in the number; memory, disks and losses of the supply are not.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")


@dataclass
class Counter:
    """A counter that only rises, in joules, and begins again at 0 behind `limit` (None: never). Raises OSError where it
    cannot be read."""

    read: Callable[[], float]
    limit: float | None = None


class EnergyMeter:
    """Joules since it was made, of all counters together; None where the machine has none, and from the moment on when
    one of them cannot be read: the others' joules would pass for all.

    A processor's counter begins again every ten minutes to an hour, so it wants to be read more often than that.
    """

    def __init__(self, counters: Iterable[Counter]) -> None:
        self.counters = list(counters)
        self._before = self._read()
        self._drawn = 0.0

    def joules(self) -> float | None:
        """Read all counters."""
        now = self._read()
        for counter, before, after in zip(self.counters, self._before, now, strict=False):
            risen = after - before
            self._drawn += risen + (counter.limit or 0.0) if risen < 0 else risen
        self._before = now
        return self._drawn if self.counters else None

    def _read(self) -> list[float]:
        try:
            return [counter.read() for counter in self.counters]
        except OSError:
            self.counters = []
            return []


def counters() -> list[Counter]:
    """Those of this machine that this process may read: its processor packages, and the GPUs that it sees."""
    return [*_processors(POWERCAP), *_cards()]


def _processors(root: Path) -> list[Counter]:
    """Whole packages, named intel-rapl:N on AMD too; their parts (cores, uncore) are in them."""
    found = []
    for zone in sorted(root.glob("intel-rapl:*")):
        count = zone / "energy_uj"
        if zone.name.count(":") == 1 and os.access(count, os.R_OK):
            limit = float((zone / "max_energy_range_uj").read_text()) / 1e6
            found.append(Counter(lambda file=count: float(file.read_text()) / 1e6, limit))  # type: ignore[misc]
    return found


def _cards() -> list[Counter]:
    """Of the cards that can tell: those before Volta and parts of a card (MIG) cannot, nor any in a container without
    NVIDIA's library."""
    if not torch.cuda.is_available() or find_spec("pynvml") is None:
        return []
    import pynvml

    found = []
    for index in range(torch.cuda.device_count()):
        identity = f"GPU-{torch.cuda.get_device_properties(index).uuid}"  # NVML numbers cards in another order
        with suppress(pynvml.NVMLError, OSError):
            pynvml.nvmlInit()
            card = Counter(partial(_drawn, pynvml, pynvml.nvmlDeviceGetHandleByUUID(identity)))
            card.read()
            found.append(card)
    return found


def _drawn(pynvml: Any, card: Any) -> float:
    try:
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(card)) / 1e3
    except pynvml.NVMLError as error:
        raise OSError(f"NVML: {error}") from error
