"""The most memory of a process is its own."""

import subprocess
import sys

import pytest

from lightning_modules.costs import memory

BIG = 300 * 2**20
# The measure without torch, which alone would be as large as what is looked for.
CHILD = """
import sys
from types import SimpleNamespace
sys.modules["torch"] = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
from lightning_modules.costs.memory import peak_memory
print(peak_memory()["resident_bytes"])
"""
PARENT = f"""
import subprocess, sys
held = b"x" * {BIG}
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""


@pytest.mark.skipif(not memory.STATUS.exists(), reason="needs Linux, where alone a process inherits its parent's peak")
def test_what_the_parent_had_is_not_the_childs(repository):
    command = [sys.executable, "-c", PARENT, CHILD]
    told = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert 2**20 < int(told.stdout) < BIG / 2


@pytest.mark.parametrize("status", [None, "Name:\tpython\nVmRSS:\t 12 kB\n"])
def test_a_system_that_does_not_say_it_is_asked_for_the_usage(tmp_path, monkeypatch, status):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    if status is not None:
        memory.STATUS.write_text(status)
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(
        memory.resource, "getrusage", lambda who: memory.resource.struct_rusage((0.0, 0.0, 4096, *[0] * 13))
    )
    assert memory.peak_memory()["resident_bytes"] == 4096


def test_kilobytes_are_told_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    memory.STATUS.write_text("VmPeak:\t  99 kB\nVmHWM:\t      12 kB\nVmRSS:\t 11 kB\n")
    assert memory.peak_memory()["resident_bytes"] == 12 * 1024
