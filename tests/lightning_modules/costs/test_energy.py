"""Counters that rise, begin again, and are not there."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch

from lightning_modules.costs import energy
from lightning_modules.costs.energy import Counter, EnergyMeter


def counter(*values, limit=None):
    return Counter(iter(values).__next__, limit)


def test_joules_are_those_since_the_meter_was_made():
    meter = EnergyMeter([counter(100.0, 130.0, 135.5), counter(7.0, 8.0, 10.0)])
    assert meter.joules() == 31.0
    assert meter.joules() == 38.5


def test_a_counter_that_began_again_has_gone_through_its_limit():
    meter = EnergyMeter([counter(90.0, 20.0, 25.0, limit=100.0)])
    assert meter.joules() == 30.0
    assert meter.joules() == 35.0


def test_a_machine_without_counters_cannot_tell():
    assert EnergyMeter([]).joules() is None


def test_whole_processor_packages_are_read_and_their_parts_are_not(tmp_path):
    for zone, drawn in (("intel-rapl:0", 5_000_000), ("intel-rapl:1", 7_500_000), ("intel-rapl:0:0", 1)):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "energy_uj").write_text(f"{drawn}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text("262143328850\n")
    found = energy._processors(tmp_path)
    assert [one.read() for one in found] == [5.0, 7.5]
    assert [one.limit for one in found] == [262143.32885, 262143.32885]


def test_a_counter_that_fails_makes_the_whole_unknown():
    def broken():
        raise OSError("gone")

    steady = iter((1.0, 2.0, 3.0, 4.0))
    failing = iter((lambda: 5.0, lambda: 6.0, broken, lambda: 8.0))
    meter = EnergyMeter([Counter(steady.__next__), Counter(lambda: next(failing)())])
    assert [meter.joules() for _ in range(3)] == [2.0, None, None]
    assert EnergyMeter([counter(1.0, 2.0), Counter(broken)]).joules() is None


class NVMLError(Exception):
    """As pynvml's: no OSError."""


@pytest.fixture
def pretended(monkeypatch):
    """Two cards of a pretended machine: what reading each gives, or raises, and whether NVML is there at all."""
    place = SimpleNamespace(cards={"GPU-0": [1000.0], "GPU-1": [2000.0]}, absent=False)

    def init():
        if place.absent:
            raise NVMLError("library not found")

    def read(card):
        value = card.pop(0) if len(card) > 1 else card[0]
        if isinstance(value, Exception):
            raise value
        return value

    def by_uuid(identity):
        if identity not in place.cards:
            raise NVMLError("not found")
        return place.cards[identity]

    module = ModuleType("pynvml")
    module.__spec__ = ModuleSpec("pynvml", None)
    module.NVMLError, module.nvmlInit, module.nvmlDeviceGetHandleByUUID = NVMLError, init, by_uuid
    module.nvmlDeviceGetTotalEnergyConsumption = read
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(energy, "POWERCAP", energy.Path("absent"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=str(index)))
    return place


def test_cards_count_in_millijoules(pretended):
    pretended.cards["GPU-0"] = [1000.0, 1000.0, 3500.0]
    assert EnergyMeter(energy.counters()).joules() == 2.5


def test_a_card_that_cannot_tell_is_left_out_and_without_any_nothing_is_known(pretended):
    pretended.cards["GPU-0"] = [NVMLError("not supported")]
    assert [one.read() for one in energy.counters()] == [2.0]
    del pretended.cards["GPU-1"]  # its parts have names of their own
    assert EnergyMeter(energy.counters()).joules() is None


def test_without_nvidias_library_nothing_is_known(pretended):
    pretended.absent = True
    assert EnergyMeter(energy.counters()).joules() is None


def test_a_card_that_fails_later_stops_nothing(pretended):
    pretended.cards["GPU-0"] = [1000.0, 1000.0, NVMLError("lost")]
    meter = EnergyMeter(energy.counters())
    assert meter.joules() is None
    assert meter.joules() is None
