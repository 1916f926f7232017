"""Counters that rise, begin again, and are not there."""

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
