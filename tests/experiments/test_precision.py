"""Which precision `auto` means: by measurement on GPUs, float32 on CPUs, and the same for every job of a sweep."""

import json
import subprocess
import threading
from unittest.mock import Mock

import pytest
import torch

from experiments.config import hardware, layer_speed, precision
from experiments.config.check import ConfigError
from experiments.config.hardware import Gpu
from experiments.config.precision import FASTER_BY, resolve

AMPERE, TURING = Gpu("0", "a", (8, 0)), Gpu("1", "b", (7, 5))
AMX, PLAIN = "flags\t\t: fpu sse2 amx_bf16\n", "flags\t\t: fpu sse2\n"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Sets GPUs, flags of the processor, and what a measurement says; returns the list of what was measured."""

    def build(gpus=(), flags=PLAIN, speed=2.0):
        asked = []
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text(f"model name\t: Some Processor\n{flags}", encoding="utf-8")
        monkeypatch.setattr(hardware, "CPUINFO", cpuinfo)
        monkeypatch.setattr(hardware, "gpus", lambda: gpus)
        monkeypatch.setattr(precision, "measured", lambda kind: asked.append(kind) or speed)
        return asked

    return build


@pytest.mark.parametrize(
    ("asked", "accelerator", "gpus", "flags", "speed", "expected", "measured"),
    [
        ("auto", "auto", (AMPERE,), PLAIN, 2.0, "bf16-mixed", ["cuda"]),
        ("auto", "gpu", (AMPERE,), PLAIN, FASTER_BY, "bf16-mixed", ["cuda"]),
        ("auto", "gpu", (AMPERE,), PLAIN, 1.49, "32-true", ["cuda"]),
        ("fastest", "auto", (AMPERE,), AMX, 2.0, "bf16-mixed", ["cuda"]),
        ("auto", "gpu", (AMPERE, TURING), PLAIN, 9.0, "32-true", []),  # a run may get either
        ("auto", "cpu", (AMPERE,), AMX, 9.0, "32-true", []),  # tables of CPUs stay comparable
        ("auto", "auto", (), AMX, 9.0, "32-true", []),
        ("fastest", "cpu", (AMPERE,), AMX, 2.0, "bf16-mixed", ["cpu"]),
        ("fastest", "auto", (), AMX, 1.2, "32-true", ["cpu"]),
        ("fastest", "auto", (), PLAIN, 9.0, "32-true", []),  # without instructions it would take minutes to say no
        ("16-mixed", "auto", (AMPERE,), AMX, 9.0, "16-mixed", []),
        ("32-true", "auto", (AMPERE,), AMX, 9.0, "32-true", []),
    ],
)
def test_precision_follows_the_measurement(
    machine, tmp_path, asked, accelerator, gpus, flags, speed, expected, measured
):
    log = machine(gpus, flags, speed)
    assert resolve(asked, accelerator, tmp_path) == expected
    assert log == measured


def test_what_was_measured_once_holds_for_this_machine_and_torch(machine, tmp_path, monkeypatch):
    first = machine((AMPERE,), speed=2.0)
    assert resolve("auto", "auto", tmp_path) == "bf16-mixed"
    again = machine((AMPERE,), speed=1.0)  # neighbours would have moved it
    assert resolve("auto", "auto", tmp_path) == "bf16-mixed"
    assert (first, again) == (["cuda"], [])
    elsewhere = machine((Gpu("0", "c", (8, 0)),), speed=1.0)
    assert resolve("auto", "auto", tmp_path) == "32-true"
    monkeypatch.setattr(precision, "version", lambda name: "99.0")
    assert resolve("auto", "auto", tmp_path) == "32-true"
    assert elsewhere == ["cuda", "cuda"]
    kept = [json.loads(path.read_text("utf-8")) for path in (tmp_path / "hardware").glob("bf16-*.json")]
    assert sorted((one["device"], one["torch"] == "99.0", one["speedup"]) for one in kept) == [
        (["a"], False, 2.0),
        (["c"], False, 1.0),
        (["c"], True, 1.0),
    ]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"speedup": "fast"}', "{}"])
def test_a_damaged_file_is_measured_anew(machine, tmp_path, damage):
    log = machine((AMPERE,))
    resolve("auto", "auto", tmp_path)
    (path,) = (tmp_path / "hardware").glob("bf16-*.json")
    path.write_text(damage, encoding="utf-8")
    assert resolve("auto", "auto", tmp_path) == "bf16-mixed"
    assert log == ["cuda", "cuda"]
    assert json.loads(path.read_text("utf-8"))["speedup"] == 2.0


def test_jobs_that_start_together_measure_once(machine, tmp_path, monkeypatch):
    log, found = machine((AMPERE,)), []
    slow = precision.measured
    monkeypatch.setattr(precision, "measured", lambda kind: threading.Event().wait(0.1) or slow(kind))
    jobs = [threading.Thread(target=lambda: found.append(resolve("auto", "auto", tmp_path))) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert found == ["bf16-mixed"] * 4
    assert log == ["cuda"]


@pytest.mark.parametrize(
    "outcome",
    [
        subprocess.CompletedProcess("python", 0, stdout=""),
        subprocess.CompletedProcess("python", 0, stdout="no number"),
        subprocess.CalledProcessError(1, "python", stderr="Traceback\nCUDA out of memory\n"),
        subprocess.CalledProcessError(-9, "python", stderr=""),
        subprocess.CalledProcessError(1, "python", stderr="\n \n"),
        subprocess.TimeoutExpired("python", 300),
        subprocess.TimeoutExpired("python", 300, stderr=b"\n"),
    ],
)
def test_a_measurement_that_fails_says_what_to_choose(monkeypatch, tmp_path, outcome):
    monkeypatch.setattr(hardware, "gpus", lambda: (AMPERE,))
    monkeypatch.setattr(precision.subprocess, "run", Mock(side_effect=[outcome]))
    with pytest.raises(ConfigError, match=r"could not be measured .* trainer\.precision=bf16-mixed, or 32-true"):
        resolve("auto", "auto", tmp_path)
    assert list((tmp_path / "hardware").glob("bf16-*.json")) == []


@pytest.mark.parametrize("said", ["loading\nstill at it\n", b"loading\nstill at it\n"])
def test_the_last_words_of_a_measurement_are_given_as_text(monkeypatch, tmp_path, said):
    """Of a process that ran out of time Python hands over bytes."""
    outcome = subprocess.TimeoutExpired("python", 300, stderr=said)
    monkeypatch.setattr(hardware, "gpus", lambda: (AMPERE,))
    monkeypatch.setattr(precision.subprocess, "run", Mock(side_effect=[outcome]))
    with pytest.raises(ConfigError, match=r"could not be measured \(still at it\)"):
        resolve("auto", "auto", tmp_path)


def test_a_kept_answer_is_read_where_nothing_can_be_written(machine, tmp_path):
    log = machine((AMPERE,))
    resolve("auto", "auto", tmp_path)
    (lock,) = (tmp_path / "hardware").glob("*.lock")
    lock.unlink()
    lock.mkdir()  # cannot be opened for writing, by nobody
    assert resolve("auto", "auto", tmp_path) == "bf16-mixed"
    assert log == ["cuda"]


def test_the_measurement_is_a_ratio_of_two_times():
    found = layer_speed.speedup(torch.device("cpu"), width=32, texts=2, repeats=1)
    assert isinstance(found, float)
    assert found > 0


def test_without_a_gpu_that_torch_sees_bf16_is_not_faster(monkeypatch):
    """A driver may be there, and torch built without it."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert layer_speed.least_speedup("cuda") == 1.0
