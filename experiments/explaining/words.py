"""Short words for long titles, and times as dates."""

from collections.abc import Sequence
from datetime import UTC, datetime

from experiments.asking.history import NAMELESS
from experiments.explaining.record import Interest, Record

DAY = 86_400.0


def shortened(text: str, width: int) -> str:
    """At most `width` characters, cut at a word where one ends in the last third, with an ellipsis."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    head = text[: width - 1]
    space = head.rfind(" ")
    return (head[:space] if space > width * 2 // 3 else head).rstrip(" ,.;:-(") + "…"


def date(seconds: float | None, within_a_day: bool = False) -> str:
    """A UTC date, or the hour where everything happened within a day; "" where the time is unknown."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M" if within_a_day else "%Y-%m-%d")


def within_a_day(record: Record) -> bool:
    """Whether dates would not tell the events apart."""
    times = [event.time for event in record.events if event.time is not None]
    return bool(times) and max(times) - min(times) < DAY


def who(record: Record) -> str:
    """The user as a sentence names them."""
    return NAMELESS if record.user == NAMELESS else f"user {record.user}"


def heaviest(interests: Sequence[Interest]) -> list[int]:
    """Places by weight now, the heaviest first; among equals the latest first."""
    return sorted(range(len(interests)), key=lambda v: (-interests[v].weight, -v))
