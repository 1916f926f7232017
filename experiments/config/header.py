"""The header of an experiment's YAML: what it is, how to run it, and which number to expect.

    # @package _global_
    # One sentence that says what it is.
    # command: python -m experiments.train experiment=NAME datamodule=CORPUS
    # hardware: 2 CPU cores
    # time: 12 min
    # expected: test/hr@10 0.0863 +- 0.0030, test/ndcg@10 0.0501 +- 0.0020
    # commit: 0123abc

The last four say "not measured" until somebody has measured; all of them or none.
"""

import re
from dataclasses import dataclass
from pathlib import Path

KEYS = ("command", "hardware", "time", "expected", "commit")
UNKNOWN = "not measured"
NUMBER = re.compile(r"(?P<metric>\S+) (?P<value>\d*\.\d+) \+- (?P<range>\d*\.\d+)")


@dataclass(frozen=True)
class Header:
    """expected: metric -> (value, half width of the range to expect); empty where nothing was measured."""

    title: str
    command: str
    hardware: str
    time: str
    expected: dict[str, tuple[float, float]]
    commit: str

    @property
    def measured(self) -> bool:
        """Whether the numbers are there."""
        return bool(self.expected)


def read_header(path: Path) -> Header:
    """Parse the comment at the top of a YAML. Raises `ValueError` that names the file and the line that is wrong."""
    comments = [line[1:].strip() for line in _comment(path) if not line[1:].strip().startswith("@")]
    found = dict(line.split(": ", 1) for line in comments[1:] if ": " in line)
    if not comments or tuple(found) != KEYS:
        raise ValueError(
            f"{path}: the header has {', '.join(found) or 'no keys'}; it needs a title, then {', '.join(KEYS)}"
        )
    unknown = {key for key in KEYS[1:] if found[key] == UNKNOWN}
    if unknown and unknown != set(KEYS[1:]):
        raise ValueError(f"{path}: {', '.join(sorted(unknown))} not measured, the rest is; measure all or none")
    expected = {} if unknown else _numbers(path, found["expected"])
    return Header(comments[0], found["command"], found["hardware"], found["time"], expected, found["commit"])


def _comment(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    stop = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:stop]


def _numbers(path: Path, text: str) -> dict[str, tuple[float, float]]:
    parts = [NUMBER.fullmatch(part.strip()) for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"{path}: expected: {text!r} is not of the form 'test/ndcg@10 0.0501 +- 0.0020, ...'")
    return {part["metric"]: (float(part["value"]), float(part["range"])) for part in parts if part}
