"""Devices and threads follow from the machine; parallel jobs do not share a GPU."""

import os
import tempfile
import threading

import pytest

from experiments.config import hardware
from experiments.config.hardware import Gpu
from experiments.runs import waiting
from experiments.runs.gpus import leased
from experiments.runs.launch import environment, threads_of

AMPERE, TURING = Gpu("0", "a", (8, 0)), Gpu("GPU-1/2", "b", (7, 5))


@pytest.mark.parametrize(
    ("asked", "accelerator", "expected"),
    [(1, "auto", 1), ("auto", "gpu", 2), ("auto", "cpu", 1), (-1, "auto", 2), ([0, 3], "gpu", 2), ("2", "cpu", 2)],
)
def test_devices_are_counted(asked, accelerator, expected, monkeypatch):
    monkeypatch.setattr(hardware, "gpus", lambda: (AMPERE, TURING))
    assert hardware.device_count(asked, accelerator) == expected


def test_jobs_side_by_side_hold_different_gpus(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with leased((AMPERE, TURING), 1) as first, leased((AMPERE, TURING), 1) as second:
        assert {*first, *second} == {"0", "GPU-1/2"}


def test_a_job_waits_until_enough_gpus_are_free(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    held: list[tuple[str, ...]] = []

    def want_both():
        with leased((AMPERE, TURING), 2) as both:
            held.append(both)

    with leased((AMPERE, TURING), 1):
        other = threading.Thread(target=want_both)
        other.start()
        other.join(0.1)
        assert held == []
    other.join(30)
    assert held == [("0", "GPU-1/2")]


def test_two_cards_that_slurm_calls_by_the_same_number_are_two(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here, there = (Gpu("0", "a", (8, 0), uuid=digits * 16) for digits in ("0a", "0b"))
    with leased((here,), 1) as first, leased((there,), 1) as second:
        assert (first, second) == (("0",), ("0",))


class Driver:
    """CUDA's driver of a machine with four cards, as far as it is asked."""

    def cuInit(self, flags):  # noqa: N802
        self.shown = [int(word) for word in os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3").split(",") if word]
        return 0

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = len(self.shown)
        return 0

    def cuDeviceGetName(self, name, size, index):  # noqa: N802
        name.value = b"card"

    def cuDeviceGetAttribute(self, value, which, index):  # noqa: N802
        value._obj.value = 8

    def cuDeviceGetUuid_v2(self, raw, index):  # noqa: N802
        raw[0] = self.shown[index]
        return 0


def test_of_the_gpus_that_ray_names_a_job_leases_its_own_and_no_other(tmp_path, monkeypatch):
    """Ray sets CUDA_VISIBLE_DEVICES; a number there is a card of the machine, and stays its address."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: Driver())

    def visible(listed):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        return hardware.gpus.__wrapped__()

    second, last_two = visible("1"), visible("2,3")
    assert [int(gpu.uuid[:2], 16) for gpu in (*second, *last_two)] == [1, 2, 3]
    with leased(second, 1) as one, leased(last_two, 1) as other:
        assert (one, other) == (("1",), ("2",))
        with leased(visible("2,3"), 1) as third:
            assert third == ("3",)
    assert visible("") == ()


def test_without_gpus_nothing_is_leased():
    with leased((), 2) as held:
        assert held == ()


def test_parallel_jobs_divide_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("experiments.runs.launch.cores", lambda: 8)
    assert [threads_of(processes) for processes in (1, 2, 3, 16)] == [8, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads_of(1) == 5


def test_a_child_sees_its_threads_and_its_gpus_alone(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    made = environment(3, ("GPU-1/2",))
    assert (made["OMP_NUM_THREADS"], made["CUDA_VISIBLE_DEVICES"]) == ("3", "GPU-1/2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert environment(3, ())["OMP_NUM_THREADS"] == "2"


def test_a_child_within_slurm_does_not_take_the_sweeps_tasks_for_its_ranks(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert "SLURM_NTASKS" not in environment(1, ())
