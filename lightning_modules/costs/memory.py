"""The most memory that this process has had."""

import resource
import sys

import torch


def peak_memory() -> dict[str, int]:
    """Bytes by name. peak_memory_bytes: the most that tensors filled on the GPU in use, else the process's largest
    resident set. peak_reserved_bytes, on a GPU: what the allocator had taken from the card for them, which no other job
    can have. resident_bytes: the process's largest resident set in the host's memory, wherever it computes."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if not (torch.cuda.is_available() and torch.cuda.max_memory_allocated()):
        return {"peak_memory_bytes": resident, "resident_bytes": resident}
    return {
        "peak_memory_bytes": int(torch.cuda.max_memory_allocated()),
        "peak_reserved_bytes": int(torch.cuda.max_memory_reserved()),
        "resident_bytes": resident,
    }
