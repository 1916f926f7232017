"""Which precision `auto` means on this machine: measured once, kept, and so the same for all jobs of a sweep.

`auto` keeps float32 on CPUs, whatever they offer. There bf16 gains little (a step of MiniLM 1.2 times as fast on a
processor with AMX), a table stays comparable with tables of other machines, and numbers are those of the README.
`fastest` asks the measurement on CPUs too. Precision is part of a run's identity, so the two never mix.
"""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from datamodules.storage import atomic_write, digest, made_once
from experiments.config import hardware
from experiments.config.check import ConfigError

FASTER_BY = 1.5
"""bf16 has eight bits where float32 has 24: less gain is not worth them."""
MEASUREMENT = 1
"""Raised with every change of what is measured."""
MEASURED = ("auto", "fastest")
"""Words whose meaning is the machine's."""
PATIENCE_SECONDS = 300.0
ROOT = Path(__file__).resolve().parents[2]


def resolve(asked: str, accelerator: str, cache: Path) -> str:
    """`auto` and `fastest` as Lightning's words, others as they are. Where bf16 is claimed it is measured, unless
    `cache` says how that went before.

    Raises `ConfigError` where the measurement fails.
    """
    if asked not in MEASURED:
        return asked
    kind = "cuda" if hardware.usable_gpus(accelerator) else "cpu"
    if kind == "cpu" and asked == "auto":
        return "32-true"
    claimed = hardware.claims_bf16(kind)
    return "bf16-mixed" if claimed and _speedup(kind, cache) >= FASTER_BY else "32-true"


def _speedup(kind: str, cache: Path) -> float:
    """bf16's, from the cache or measured now; jobs that want it at the same time wait for the first."""
    machine = {"device": hardware.devices(kind), "torch": version("torch"), "measurement": MEASUREMENT}
    path = cache / "hardware" / f"bf16-{digest(machine)}.json"

    def measure() -> float:
        found = measured(kind)
        atomic_write(path, json.dumps(machine | {"speedup": found}, indent=1) + "\n")
        return found

    return made_once(path, lambda: _kept(path), measure)


def _kept(path: Path) -> float | None:
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["speedup"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # absent, or damaged: then it is measured anew
        return None


def measured(kind: str) -> float:
    """bf16's speed over float32's, in a process of its own: this one imports no torch."""
    command = [sys.executable, "-m", "experiments.config.layer_speed", kind]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
        return float(done.stdout.split()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        fault = f"trainer.precision: how fast bf16 is here could not be measured ({_last_words(error)})"
        raise ConfigError([f"{fault}; choose it yourself: trainer.precision=bf16-mixed, or 32-true"]) from error


def _last_words(error: Exception) -> str:
    """The last line that the process wrote, else the error's own. What ran out of time left bytes, even where text was
    asked for."""
    said = getattr(error, "stderr", None) or ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return (text.strip().splitlines() or [str(error)])[-1]
