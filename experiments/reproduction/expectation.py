"""Whether a table came out as it did before: each cell against a number and a tolerance that are kept with the project.

The tolerance of an accuracy is three times the standard deviation over seeds, pooled over the rows that have several: a
row's own deviation, of three seeds, is too uncertain itself. Where no row has several seeds it is half the width of the
95% interval over queries. Of what a row costs, that is judged which is not the machine's: trainable parameters are the
same or wrong, bytes of a checkpoint and FLOPs of a step within a hundredth. Seconds, memory and energy are shown and
not judged.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from datamodules.storage import atomic_write
from experiments.runs.read import Run
from experiments.tables.rows import Row

SEEDS_FACTOR = 3.0
COUNTED = {"trainable_parameters": 0.0, "checkpoint_bytes": 0.01, "flops_per_step": 0.01}
"""Costs of a row's first seed that are judged, and how far each may lie from what is expected, in shares of it."""

Verdict = Literal["OK", "FAIL", "new"]


@dataclass(frozen=True)
class Expected:
    """A number, and how far another one may lie from it."""

    value: float
    tolerance: float


@dataclass(frozen=True)
class Cell:
    """One cell against its expectation. found: None where the row has no such number now; expected: None where nothing
    was stored, and there is nothing to fail."""

    row: str
    name: str
    found: float | None
    expected: Expected | None

    @property
    def verdict(self) -> Verdict:
        """OK within the tolerance."""
        if self.expected is None:
            return "new"
        near = self.found is not None and abs(self.found - self.expected.value) <= self.expected.tolerance
        return "OK" if near else "FAIL"


Cells = Mapping[str, Mapping[str, Expected]]
"""By the row's name, by the name of the number."""


def found_in(rows: Sequence[Row], keys: int, metrics: Sequence[str]) -> dict[str, dict[str, float]]:
    """Numbers of finished rows. keys: how many parts of a label name the row; what comes behind was picked, and may
    be picked otherwise by chance."""
    return {", ".join(row.label[:keys]): _numbers(row, metrics) for row in rows if row.done}


def expect(rows: Sequence[Row], keys: int, metrics: Sequence[str]) -> Cells:
    """What the rows say, as an expectation of the next time."""
    tolerances = {metric: _pooled(rows, metric) for metric in metrics}
    return {
        ", ".join(row.label[:keys]): {
            name: Expected(value, COUNTED[name] * value if name in COUNTED else _tolerance(row, name, tolerances[name]))
            for name, value in _numbers(row, metrics).items()
        }
        for row in rows
        if row.done
    }


def compare(found: Mapping[str, Mapping[str, float]], expected: Cells) -> list[Cell]:
    """Every cell that was expected, then those that are new."""
    cells = [
        Cell(row, name, found.get(row, {}).get(name), wanted)
        for row, names in expected.items()
        for name, wanted in names.items()
    ]
    new = [
        Cell(row, name, value, None)
        for row, names in found.items()
        for name, value in names.items()
        if name not in expected.get(row, {})
    ]
    return cells + new


def write(path: Path, cells: Cells, runs: Iterable[Run]) -> None:
    """Store an expectation with where it comes from."""
    made: dict[str, list[str]] = {"commit": [], "hardware": [], "started": []}
    for run in runs:
        for key, values in made.items():
            values.append(str(run.provenance.get(key)))
    origin = {key: sorted(set(values)) for key, values in made.items() if key != "started"}
    origin["made"] = sorted({started[:10] for started in made["started"]})
    record = {row: {name: [one.value, one.tolerance] for name, one in names.items()} for row, names in cells.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps({"origin": origin, "rows": record}, indent=1) + "\n")


def read(path: Path) -> Cells:
    """A stored expectation; empty where there is none."""
    if not path.is_file():
        return {}
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {row: {name: Expected(*pair) for name, pair in names.items()} for row, names in record["rows"].items()}


def _numbers(row: Row, metrics: Sequence[str]) -> dict[str, float]:
    whole = [metric for metric in metrics if all(metric in run.metrics for run in row.done)]
    numbers = {metric: fmean(run.metrics[metric] for run in row.done) for metric in whole}
    counts = {name: row.done[0].cost.get(name) for name in COUNTED}
    return numbers | {name: float(count) for name, count in counts.items() if count is not None}


def _pooled(rows: Sequence[Row], metric: str) -> float | None:
    """Standard deviation over seeds, from all rows with several."""
    squares, freedom = 0.0, 0
    for row in rows:
        values = [run.metrics[metric] for run in row.done if metric in run.metrics]
        if len(values) > 1:
            mean = sum(values) / len(values)
            squares += sum((value - mean) ** 2 for value in values)
            freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _tolerance(row: Row, metric: str, pooled: float | None) -> float:
    if pooled is not None:
        return SEEDS_FACTOR * pooled
    low, high = row.done[0].intervals[metric]
    return (high - low) / 2
