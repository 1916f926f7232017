"""A moment as people write it."""

import math
from datetime import UTC, datetime

FORM = "write seconds since 1970 or a date such as 2024-05-31T18:30"


def moment(text: str) -> float:
    """Seconds since 1970 from a number of them or an ISO 8601 date, UTC unless it says otherwise. Raises `ValueError`
    for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        return _date(text).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is no time; {FORM}")
    return seconds


def _date(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; {FORM}") from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
