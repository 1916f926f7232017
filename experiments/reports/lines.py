"""Runs as lines over parallel axes: settings, then accuracy and cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.figures.style import COLOURS
from experiments.runs.read import Run
from experiments.tables.rows import value_of
from experiments.units import NOTHING

Value = float | str | None


@dataclass(frozen=True)
class Lines:
    """axes: their names. values: of each run by its id, one for each axis; a number, a word, or None where it has
    none."""

    axes: tuple[str, ...]
    values: dict[str, tuple[Value, ...]]

    def record(self) -> dict[str, Any]:
        """As the page reads it: an axis of numbers has its ends, one of words has all of them. Runs that share the
        first word share a colour."""
        columns = list(zip(*self.values.values(), strict=True)) or [()] * len(self.axes)
        axes = [_axis(name, column) for name, column in zip(self.axes, columns, strict=True)]
        numbers = ["words" not in axis for axis in axes]
        first = list(dict.fromkeys(values[0] for values in self.values.values()))
        lines = [
            {
                "name": run,
                "colour": COLOURS[first.index(values[0]) % len(COLOURS)],
                "values": [
                    one if number or one is None else str(one) for one, number in zip(values, numbers, strict=True)
                ],
            }
            for run, values in self.values.items()
        ]
        return {"axes": axes, "lines": lines}


def lines_of(runs: Sequence[Run], keys: Sequence[str], metrics: Sequence[str], costs: Sequence[str]) -> Lines:
    """Of finished runs; the keys are settings by which rows are named."""
    done = [run for run in runs if run.status == "done"]
    return Lines(
        (*keys, *metrics, *costs),
        {
            run.id: (
                *(_setting(value_of(run, key)) for key in keys),
                *(_finite(run.metrics.get(name)) for name in metrics),
                *(_finite(run.cost.get(name)) for name in costs),
            )
            for run in done
        },
    )


def _setting(word: str) -> Value:
    if word == NOTHING:
        return None
    try:
        number = float(word)
    except ValueError:
        return word
    return number if math.isfinite(number) else word


def _finite(number: float | None) -> float | None:
    """JSON knows no other numbers."""
    return number if number is not None and math.isfinite(number) else None


def _axis(name: str, values: Sequence[Value]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) for value in known):
        return {"name": name, "low": min(known), "high": max(known)}
    return {"name": name, "words": list(dict.fromkeys(map(str, known)))}
