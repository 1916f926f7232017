"""Numbers as a person reads them."""

import pytest

from experiments import units


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (950, "950"), (999.6, "1.00k"), (22_713_216, "22.7M"), (73_728, "73.7k"), (1e15, "1000T")],
)
def test_counts(value, text):
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (512, "512 B"), (2048, "2.00 KiB"), (1.5 * 2**30, "1.50 GiB"), (91_600_000, "87.4 MiB")],
)
def test_sizes(value, text):
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0%"), (1, "100%"), (0.0995, "10%"), (0.0994, "9.9%"), (0.00325, "0.33%"), (0.0004, "0.04%")],
)
def test_shares(value, text):
    assert units.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.0042, "0.00420 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (4320, "1 h 12 min"),
    ],
)
def test_durations(value, text):
    assert units.duration(value) == text


def test_a_tiny_p_is_not_called_zero():
    assert units.probability(1e-9) == "< 0.001"
    assert units.probability(0.0312) == "0.031"
