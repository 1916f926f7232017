"""The most memory that this process has had."""

import re
import resource
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def peak_memory() -> dict[str, int]:
    """Bytes by name. peak_memory_bytes: the most that tensors filled on the GPU in use, else the process's largest
    resident set. peak_reserved_bytes, on a GPU: what the allocator had taken from the card for them, which no other job
    can have. resident_bytes: the process's largest resident set in the host's memory, wherever it computes."""
    resident = _resident()
    if not (torch.cuda.is_available() and torch.cuda.max_memory_allocated()):
        return {"peak_memory_bytes": resident, "resident_bytes": resident}
    return {
        "peak_memory_bytes": int(torch.cuda.max_memory_allocated()),
        "peak_reserved_bytes": int(torch.cuda.max_memory_reserved()),
        "resident_bytes": resident,
    }


def _resident() -> int:
    """The largest resident set of this program, VmHWM on Linux. Elsewhere the process's record of usage says it, which
    on Linux begins with the largest set of the process that started it."""
    told = re.search(r"^VmHWM:\s*(\d+) kB$", STATUS.read_text(), re.MULTILINE) if STATUS.exists() else None
    if told:
        return int(told[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
