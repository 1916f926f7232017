"""What the machine offers, asked without torch: CUDA devices (from the driver itself), cores, and what follows."""

import ctypes
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # CUdevice_attribute, cuda.h
BF16_FROM = (8, 0)  # Ampere is the first generation that computes bf16 in hardware
BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
CPUINFO = Path("/proc/cpuinfo")
ALL = ("auto", "-1", -1)
"""Words for every visible GPU, as Lightning has them."""


@dataclass(frozen=True)
class Gpu:
    """A visible CUDA device. address: how CUDA_VISIBLE_DEVICES names it. uuid: which card it is, whoever asks: Slurm
    may show several jobs of a machine another card each, all as number 0."""

    address: str
    name: str
    capability: tuple[int, int]
    uuid: str = ""


@cache
def gpus() -> tuple[Gpu, ...]:
    """The devices that the driver shows to this process; it honours CUDA_VISIBLE_DEVICES. Empty without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    addresses = listed.split(",") if listed else [str(index) for index in range(count.value)]
    return tuple(_gpu(driver, index, addresses[index].strip()) for index in range(count.value))


def _gpu(driver: ctypes.CDLL, index: int, address: str) -> Gpu:
    name = ctypes.create_string_buffer(128)
    driver.cuDeviceGetName(name, len(name), index)
    major, minor = ctypes.c_int(0), ctypes.c_int(0)
    driver.cuDeviceGetAttribute(ctypes.byref(major), CAPABILITY_MAJOR, index)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), CAPABILITY_MINOR, index)
    return Gpu(address, name.value.decode(), (major.value, minor.value), _uuid(driver, index))


def _uuid(driver: ctypes.CDLL, index: int) -> str:
    """32 hexadecimal digits; empty where the driver does not say."""
    raw = (ctypes.c_ubyte * 16)()
    ask = getattr(driver, "cuDeviceGetUuid_v2", None) or getattr(
        driver, "cuDeviceGetUuid", None
    )  # v2 tells parts of a card apart
    return bytes(raw).hex() if ask is not None and ask(raw, index) == 0 else ""


def usable_gpus(accelerator: str) -> tuple[Gpu, ...]:
    """The GPUs that a Lightning accelerator setting may use."""
    return gpus() if may_use_gpus(accelerator) else ()


def may_use_gpus(accelerator: str) -> bool:
    """Whether a Lightning accelerator setting takes GPUs, where there are any."""
    return accelerator in ("auto", "gpu", "cuda")


def devices(kind: str) -> list[str]:
    """Names of what computes, each once: the visible GPUs (kind "cuda"), or the processor ("cpu")."""
    return sorted({gpu.name for gpu in gpus()}) if kind == "cuda" else [_processor()]


def claims_bf16(kind: str) -> bool:
    """Whether every visible GPU, or the processor, has instructions for bf16. Without them it is hundreds of times
    slower than fp32."""
    if kind == "cuda":
        return all(gpu.capability >= BF16_FROM for gpu in gpus())
    return not BF16_FLAGS.isdisjoint(_cpuinfo("flags").split())


def device_count(asked: int | str | list[int], accelerator: str) -> int:
    """Processes on this machine. `auto` and -1 mean every visible GPU, or one process on a CPU."""
    if isinstance(asked, list):
        return len(asked)
    if asked in ALL:
        return max(len(usable_gpus(accelerator)), 1)
    return int(asked)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> str:
    """The machine in one line, for the record."""
    cards = ", ".join(gpu.name for gpu in gpus()) or "no GPU"
    return f"{_processor()}, {cores()} cores, {cards}"


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    """What Linux says of the first processor; empty elsewhere."""
    try:
        with CPUINFO.open(encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key)
    except (OSError, StopIteration):
        return ""
