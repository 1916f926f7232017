"""A row of the benchmark table: what was compared, what was asked, what came out, and how to make it again."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measuring.ratio import brief
from experiments.config import hardware
from experiments.runs.provenance import now, versions

RESULTS = Path(__file__).resolve().parents[1] / "results"

VERDICTS = {True: "yes", False: "no", None: ""}
COLUMNS = ("row", "unit", "A", "B", "ratio", "spread", "asked", "reached")


@dataclass(frozen=True)
class Side:
    """One of the two things that a row compares. value: its median in the row's unit; None where it has none."""

    what: str
    command: str
    value: float | None = None


@dataclass(frozen=True)
class Row:
    """sides: A and B. ratio: B over A in the row's unit, or as `what` says; at least `goal` is asked (`at_most`: at
    most), nothing where it is None. spread: its least and largest value. detail: everything else that was found."""

    name: str
    what: str
    unit: str
    sides: Sequence[Side]
    ratio: float
    goal: float | None
    spread: tuple[float, float] | None = None
    at_most: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """None where nothing is asked."""
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal


@dataclass(frozen=True)
class Bench:
    """A measurement that makes one row or several. `about`: in a line, for the list. `minutes`: on two cores."""

    about: str
    measure: Callable[[bool], list[Row]]
    minutes: float


def write(rows: list[Row], name: str, quick: bool, threads: int, folder: Path = RESULTS) -> Path:
    """Keep rows with machine and versions in folder/NAME.json; a quick slice gets a name of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{'.quick' if quick else ''}.json"
    record = {
        "name": name,
        "quick": quick,
        "reproduce": f"python -m benchmarks.bench {name} --threads {threads}{' --quick' if quick else ''}",
        "threads": threads,
        "machine": hardware.describe(),
        "versions": versions(),
        "when": now(),
        "rows": [asdict(row) | {"reached": row.reached} for row in rows],
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def cells(row: Row) -> tuple[str, ...]:
    """A row of a table. Some have one side alone."""
    sides = [side.what + ("" if side.value is None else f" {brief(side.value)}") for side in row.sides]
    spread = "" if row.spread is None else f"{brief(row.spread[0])}-{brief(row.spread[1])}"
    asked = "" if row.goal is None else f"{'<=' if row.at_most else '>='} {brief(row.goal)}"
    return (
        row.what,
        row.unit,
        sides[0],
        sides[1] if len(sides) > 1 else "",
        brief(row.ratio),
        spread,
        asked,
        VERDICTS[row.reached],
    )


def stored(folder: Path = RESULTS) -> list[Row]:
    """All rows that were measured whole, one file after the other."""
    paths = [path for path in sorted(folder.glob("*.json")) if not path.name.endswith(".quick.json")]
    records = [json.loads(path.read_text("utf-8")) for path in paths]
    return [_row(kept) for record in records for kept in record["rows"]]


def _row(kept: dict[str, Any]) -> Row:
    known = {name: value for name, value in kept.items() if name not in ("reached", "sides", "spread")}
    spread = None if kept["spread"] is None else (kept["spread"][0], kept["spread"][1])
    return Row(**known, sides=[Side(**side) for side in kept["sides"]], spread=spread)
