"""Numbers as a person reads them."""

import math

NOTHING = "-"
"""Stands where a run has no such number."""


def accuracy(value: float) -> str:
    """Four decimals: a metric on some thousand queries is not known better."""
    return f"{value:.4f}"


def count(value: float | None) -> str:
    """Parameters or queries: 950, 22.7k, 22.7M, 1.3G."""
    return NOTHING if value is None else _scaled(value, 1000, ("", "k", "M", "G", "T"))


def size(value: float | None) -> str:
    """Bytes in binary units: 87.3 MiB."""
    return NOTHING if value is None else _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def share(value: float | None) -> str:
    """A fraction as a percentage with two significant digits, so that 0.0004 is 0.04%."""
    if value is None:
        return NOTHING
    percent = 100 * value
    return f"{percent:.0f}%" if percent >= 9.95 or percent == 0 else f"{percent:.2g}%"


def duration(seconds: float | None) -> str:
    """Seconds: 0.42 s, 12.3 s, 2 min 05 s, 1 h 12 min."""
    if seconds is None:
        return NOTHING
    if seconds < 59.95:
        return f"{_digits(seconds)} s"
    if seconds < 3599.5:
        return "{} min {:02d} s".format(*divmod(round(seconds), 60))
    return "{} h {:02d} min".format(*divmod(round(seconds / 60), 60))


def energy(joules: float | None) -> str:
    """Watt hours: 3.61 Wh, 1.2 kWh."""
    return NOTHING if joules is None else _scaled(joules / 3600, 1000, (" Wh", " kWh", " MWh"))


def probability(p: float) -> str:
    """Three decimals; a tiny p is not called zero."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _scaled(value: float, step: int, units: tuple[str, ...]) -> str:
    power = 0
    while power < len(units) - 1 and float(_digits(value)) >= step:
        value /= step
        power += 1
    exact = power == 0 and float(value).is_integer()
    return (f"{value:.0f}" if exact else _digits(value)) + units[power]


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    rounded = float(f"{value:.3g}")
    if rounded == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:.{decimals}f}"
