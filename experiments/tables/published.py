"""What papers report, from conf/published/NAME.yaml: one file for each data set and protocol.

data_digests: [HEX, ...]       # of prepared data (a run's data_digest) that hold the log of the paper
protocol: {split: ..., ...}    # at the paths of `experiments.tables.comparable.PROTOCOL`, as a run's configuration
tolerance: 0.05                # share of a published number within which ours reproduces it
remark: ...                    # left out where there is nothing to say of all rows
rows:
  - model: SASRec
    metrics: {test/hr@10: 0.0605, test/ndcg@10: {mean: 0.0318, deviation: 0.0012}}
    source: ...                # a paper and its table
    remark: ...                # what a reader has to know beside it; may be left out
    ours: {head: dot, ...}     # settings of the run that reproduces it, a part by its file; may be left out
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from experiments.runs.provenance import ROOT
from experiments.tables.comparable import PROTOCOL
from experiments.tables.measures import Measure
from experiments.tables.rows import TableError

FOLDER = ROOT / "conf" / "published"


@dataclass(frozen=True)
class Quoted:
    """A row of a paper's table. ours: settings, by path, of runs that reproduce it; {} where none does."""

    model: str
    metrics: Mapping[str, Measure]
    source: str
    remark: str = ""
    ours: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A file of quoted rows; see the module for its keys."""

    name: str
    data_digests: tuple[str, ...]
    protocol: Mapping[str, Any]
    tolerance: float
    rows: tuple[Quoted, ...]
    remark: str = ""


def names() -> list[str]:
    """Those of which there is a file."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(chosen: Sequence[str]) -> tuple[Published, ...]:
    """Each once, in the order given. Raises `TableError` for a name without a file, and what `read` raises."""
    known = names()
    for name in chosen:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"did you mean '{near[0]}'? " if near else ""
            raise TableError(f"--published {name}: {meant}there is: {', '.join(known) or 'none'}")
    return tuple(read(FOLDER / f"{name}.yaml") for name in dict.fromkeys(chosen))


def read(path: Path) -> Published:
    """Raises `TableError` naming file and key where one is missing, unknown or not of its kind."""
    file = f"{path.parent.name}/{path.name}"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TableError(f"{file}: no YAML ({' '.join(str(error).split())})") from error
    keys = _keys(found, file, ("data_digests", "protocol", "tolerance", "rows"), ("remark",))
    return Published(
        name=path.stem,
        data_digests=tuple(_text(one, f"{file}: data_digests") for one in _list(keys, "data_digests", file)),
        protocol=_keys(keys["protocol"], f"{file}: protocol", PROTOCOL),
        tolerance=_tolerance(keys["tolerance"], file),
        rows=tuple(_row(row, f"{file}: rows[{place}]") for place, row in enumerate(_list(keys, "rows", file))),
        remark=_text(keys.get("remark", ""), f"{file}: remark", may_be_empty=True),
    )


def _row(row: Any, where: str) -> Quoted:
    keys = _keys(row, where, ("model", "metrics", "source"), ("remark", "ours"))
    if not isinstance(keys["metrics"], Mapping) or not keys["metrics"]:
        raise TableError(f"{where}.metrics: expected NAME: NUMBER pairs")
    ours = keys.get("ours", {})
    if not isinstance(ours, Mapping) or ("ours" in keys and not ours):
        raise TableError(f"{where}.ours: expected SETTING: VALUE pairs; leave it out where no run reproduces the row")
    return Quoted(
        model=_text(keys["model"], f"{where}.model"),
        metrics={_metric(name, where): _measure(value, where, name) for name, value in keys["metrics"].items()},
        source=_text(keys["source"], f"{where}.source"),
        remark=_text(keys.get("remark", ""), f"{where}.remark", may_be_empty=True),
        ours=ours,
    )


def _keys(found: Any, where: str, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TableError(f"{where}: expected keys {', '.join(required)}, found {found!r}")
    unknown = next((key for key in found if key not in (*required, *optional)), None)
    if unknown is not None:
        raise TableError(f"{where}: unknown key '{unknown}'; there is: {', '.join((*required, *optional))}")
    missing = next((key for key in required if key not in found), None)
    if missing is not None:
        raise TableError(f"{where}: key '{missing}' is missing")
    return found


def _list(keys: Mapping[str, Any], key: str, file: str) -> list[Any]:
    found = keys[key]
    if not isinstance(found, list) or not found:
        raise TableError(f"{file}: {key}: expected a list of at least one, found {found!r}")
    return found


def _text(found: Any, where: str, may_be_empty: bool = False) -> str:
    """A digest of digits alone is a number to YAML, and so wants quotes."""
    if not isinstance(found, str) or not (found or may_be_empty):
        raise TableError(f"{where}: expected words (quote what YAML reads as a number), found {found!r}")
    return found


def _metric(name: Any, where: str) -> str:
    if not isinstance(name, str) or name.partition("/")[0] not in ("test", "valid") or "/" not in name:
        raise TableError(f"{where}.metrics: '{name}' is no metric of a split, such as test/hr@10")
    return name


def _measure(found: Any, where: str, name: str) -> Measure:
    """A number alone, or a mean with the deviation over seeds that the paper gives."""
    if not isinstance(found, Mapping):
        return Measure(_number(found, f"{where}.metrics.{name}"))
    keys = _keys(found, f"{where}.metrics.{name}", ("mean", "deviation"))
    mean, deviation = (_number(keys[key], f"{where}.metrics.{name}.{key}") for key in ("mean", "deviation"))
    return Measure(mean, deviation=deviation)


def _number(found: Any, where: str) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise TableError(f"{where}: expected a number, found {found!r}")
    return float(found)


def _tolerance(found: Any, file: str) -> float:
    tolerance = _number(found, f"{file}: tolerance")
    if not 0 < tolerance < 1:
        raise TableError(f"{file}: tolerance: {tolerance} is no share between 0 and 1, such as 0.05")
    return tolerance
