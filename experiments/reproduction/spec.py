"""What makes a table: a file of conf/table, in the words of the programs that are called."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from experiments.config.signature import nearest
from experiments.runs.provenance import ROOT

FOLDER = ROOT / "conf" / "table"
SCALES = ("full", "smoke")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Again:
    """Which rows get more seeds: the `best` by validation and those of `always`, named by the value of `by`."""

    by: str
    best: int
    always: Words
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class TableSpec:
    """A table by its name. Words are those of experiments.train.

    says: what question it answers. hardware, time: where and how long `full` took. begin: of the one run that all
    others begin from; none where it is empty. grids: multiruns; one with the key `each` is made as a sweep of its own
    for each of its values, so that several run at a time. again: more seeds for some rows. by, reference, pick,
    monitor, metrics, costs: as of experiments.tabulate. figures: words of experiments.plot, by the file's stem.
    published: names of conf/published, set beside `full`. scales: words that take the place of a grid's own, or are
    added, by scale. workers: sweeps at a time; 1 where seconds are what it is about, 0 for as many as there are cores.
    """

    name: str
    says: str
    hardware: str
    time: str
    grids: tuple[Words, ...]
    by: Words
    metrics: Words
    scales: Mapping[str, Words]
    begin: Words = ()
    each: str = ""
    again: Again | None = None
    reference: str = ""
    pick: Words = ()
    monitor: str = "valid/ndcg@10"
    costs: Words = ("trainable", "share", "memory", "epoch", "queries", "checkpoint")
    figures: Mapping[str, Words] = field(default_factory=dict)
    published: Words = ()
    workers: int = 0

    @property
    def expected(self) -> Path:
        """Folder of the stored expectations, one for each scale."""
        return ROOT / "docs" / "results" / self.name


def names() -> list[str]:
    """All tables."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_spec(name: str) -> TableSpec:
    """The table of that name. Raises `ValueError` that names the file and the key where it is at fault."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise ValueError(f"there is no table {name!r}{nearest(name, names())}")
    return parse(name, yaml.safe_load(path.read_text(encoding="utf-8")), path.relative_to(ROOT))


def parse(name: str, record: Any, path: Path) -> TableSpec:
    """Check the keys and cut the words. Raises `ValueError`."""
    if not isinstance(record, dict):
        raise ValueError(f"{path}: holds no settings")
    known = {one.name: one for one in fields(TableSpec) if one.name != "name"}
    unknown = [key for key in record if key not in known]
    absent = [
        key
        for key, one in known.items()
        if one.default is MISSING and one.default_factory is MISSING and key not in record
    ]
    if unknown or absent:
        said = [*(f"unknown: {key}" for key in unknown), *(f"missing: {key}" for key in absent)]
        raise ValueError(f"{path}: {'; '.join(said)}; keys are {', '.join(known)}")
    if sorted(record["scales"]) != sorted(SCALES):
        raise ValueError(f"{path}: scales are {', '.join(record['scales'])}; they are {', '.join(SCALES)}")
    again = record.get("again")
    made = {key: _cut(key, value) for key, value in record.items() if key != "again"}
    return TableSpec(name=name, again=None if again is None else _again(again), **made)


def _again(record: Mapping[str, Any]) -> Again:
    return Again(record["by"], record["best"], tuple(record["always"]), tuple(record["seeds"]))


def _cut(key: str, value: Any) -> Any:
    """Words of a line, as a shell would cut them at spaces."""
    if key in ("says", "hardware", "time", "each", "reference", "monitor"):
        return " ".join(str(value).split())
    if key == "grids":
        return tuple(tuple(line.split()) for line in value)
    if key in ("scales", "figures"):
        return {name: tuple(str(line or "").split()) for name, line in value.items()}
    if key == "workers":
        return int(value)
    return tuple(value.split()) if isinstance(value, str) else tuple(map(str, value))
