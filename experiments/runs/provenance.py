"""Where a number comes from: source, versions, machine, command. Recorded beside a result, not hashed into its name."""

import hashlib
import platform
import shlex
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.config import hardware

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("datamodules", "lightning_modules", "experiments")
PACKAGES = (
    "torch",
    "pytorch-lightning",
    "transformers",
    "peft",
    "torchmetrics",
    "hydra-core",
    "numpy",
    "pyarrow",
    "duckdb",
    "ibis-framework",
    "wandb",
)


@cache
def source_digest(root: Path = ROOT) -> str:
    """16 hexadecimal characters over every Python file of the three floors: path and content."""
    whole = hashlib.sha256()
    for path in sorted(path for floor in FLOORS for path in (root / floor).rglob("*.py")):
        whole.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def record(program: str, overrides: tuple[str, ...], threads: int) -> dict[str, Any]:
    """What is known when a run begins. `commit` and `dirty` are null outside a git repository."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=normal")
    return {
        "commit": commit or None,
        "dirty": None if status is None else bool(status),
        "source_digest": source_digest(),
        "versions": versions(),
        "threads": threads,
        "hardware": hardware.describe(),
        "command": shlex.join(["python", "-m", f"experiments.{program}", *overrides]),
        "started": now(),
    }


def difference() -> str:
    """What the working tree adds to the commit, as a patch; empty where it is clean or there is no repository."""
    return _git("diff", "HEAD") or ""


@cache
def versions() -> dict[str, str]:
    """Installed versions of what moves numbers, and Python's."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """This moment, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip("\n")
