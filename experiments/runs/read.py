"""Read what runs left on disk: their folders and a sweep's manifest. Plain JSON and Parquet; no torch, no Hydra."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from datamodules.corpus import DataError

Status = Literal["done", "failed", "unfinished", "not run"]
"""done and failed as result.json says; unfinished: a folder without it; not run: a job of a sweep without a folder."""


@dataclass(frozen=True)
class Run:
    """One run as its folder tells it. `reason` says in one line why it is not done ("" where nothing is known).

    config is the nested effective configuration, empty where the job never got as far. Keys of metrics and intervals
    are "SPLIT/NAME" or "SPLIT/SLICE/NAME"; units of cost: bytes, seconds, parameters.
    """

    id: str
    status: Status
    folder: Path | None = None
    overrides: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    cost: Mapping[str, float | None] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def settings(self) -> dict[str, str]:
        """The overrides as key -> value; Hydra's signs + and ++ before a key are dropped, ~key is key -> "removed"."""
        pairs = (override.lstrip("+~").partition("=") for override in self.overrides)
        return {key: value if sign else "removed" for key, sign, value in pairs}

    @property
    def seed(self) -> int | None:
        """From the configuration, else from the overrides; None where neither says."""
        found = self.config.get("seed", self.settings().get("seed"))
        return None if found is None else int(found)

    def queries(self, split: str) -> pa.Table:
        """Per-query values, one row a query, ordered by `query`. Raises `DataError` if it is absent or damaged."""
        path = self._queries_path(split)
        try:
            table = pq.read_table(path)
        except FileNotFoundError:
            raise DataError(f"absent, though the run is {self.status}; evaluate the run again", path) from None
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(
                f"not a readable Parquet file ({_first_line(str(error))}); evaluate the run again", path
            ) from error
        absent = {"query", "user"} - set(table.column_names)
        if absent:
            raise DataError(
                f"has no column {', '.join(sorted(absent))}; columns are {', '.join(table.column_names)}", path
            )
        if len(table["query"].unique()) != len(table):
            raise DataError("holds a query twice; evaluate the run again", path)
        return table.sort_by("query")

    def _queries_path(self, split: str) -> Path:
        if self.folder is None:
            raise DataError(f"run {self.id} has no folder, so there are no per-query values of '{split}'")
        return self.folder / f"queries-{split}.parquet"


@dataclass(frozen=True)
class Sweep:
    """A manifest: the sweep's name, its grid as given, and every job of it, also those that never started."""

    name: str
    grid: tuple[str, ...]
    runs: tuple[Run, ...]


def is_run_folder(folder: Path) -> bool:
    """Whether a run was begun here."""
    return (folder / "result.json").exists() or (folder / "config.json").exists()


def read_run(folder: Path) -> Run:
    """The run in `folder`. Raises `DataError` that names the file where something is absent or damaged."""
    if not is_run_folder(folder):
        raise DataError("no run folder: it holds neither result.json nor config.json", folder)
    if (folder / "result.json").exists():
        return _finished(folder, folder / "result.json")
    begun = folder / "provenance.json"
    return Run(
        id=folder.name,
        status="unfinished",
        folder=folder,
        overrides=_overrides(folder),
        config=read_record(folder / "config.json"),
        provenance=read_record(begun) if begun.exists() else {},
        reason="still running, or interrupted",
    )


def read_finished(runs_dir: Path) -> list[Run]:
    """Every finished run of a folder of runs. What is damaged is nobody's measure and is left out."""
    found = []
    for folder in sorted(runs_dir.glob("[!.]*/result.json")):
        try:
            run = read_run(folder.parent)
        except DataError:
            continue
        found += [run] if run.status == "done" else []
    return found


def read_sweep(manifest: Path) -> Sweep:
    """The sweep whose manifest this is; its runs lie in the folder above the manifest's. Raises `DataError`."""
    record = read_record(manifest)
    jobs = record.get("runs")
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise DataError("no sweep manifest: it has no list 'runs' of jobs", manifest)
    root = manifest.parent.parent
    runs = tuple(_job(root, job, number) for number, job in enumerate(jobs))
    return Sweep(str(record.get("name", manifest.stem)), tuple(record.get("overrides", ())), runs)


def read_record(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `DataError` naming file and line where it is absent, cut short or no object."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("no such file", path) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"damaged JSON ({error.msg}); remove the file and start the run again", path, error.lineno
        ) from error
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"not readable ({error})", path) from error
    if not isinstance(record, dict):
        raise DataError(f"holds a {type(record).__name__} where an object was expected", path)
    return record


def _job(root: Path, job: dict[str, Any], number: int) -> Run:
    overrides = tuple(job.get("overrides") or ())
    identity = job.get("id")
    if identity and is_run_folder(root / identity):
        run = read_run(root / identity)
        return run if not overrides else Run(**{**vars(run), "overrides": overrides})
    reason = _first_line(str(job.get("error") or ""))
    return Run(identity or f"job {number}", "not run", None, overrides, reason=reason)


def _finished(folder: Path, path: Path) -> Run:
    record = read_record(path)
    status = record.get("status")
    if status not in ("done", "failed"):
        raise DataError(f"status is {status!r}; expected 'done' or 'failed'", path)
    for key in ("config", "metrics", "intervals", "cost", "provenance"):
        if not isinstance(record.get(key) or {}, dict):
            raise DataError(f"'{key}' is no object; remove the folder and start the run again", path)
    if status == "done" and not (record.get("config") and record.get("metrics")):
        raise DataError("a finished run without 'config' or 'metrics'; remove the folder and start the run again", path)
    return Run(
        id=str(record.get("id") or folder.name),
        status=status,
        folder=folder,
        overrides=tuple(record.get("overrides") or _overrides(folder)),
        config=record.get("config") or {},
        metrics=record.get("metrics") or {},
        intervals={key: (pair[0], pair[1]) for key, pair in (record.get("intervals") or {}).items()},
        cost=record.get("cost") or {},
        provenance=record.get("provenance") or {},
        reason=_reason(record.get("error")),
    )


def _overrides(folder: Path) -> tuple[str, ...]:
    """The command's overrides where a run left them beside its configuration."""
    path = folder / "overrides.json"
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else ()


def _reason(error: Mapping[str, Any] | None) -> str:
    if not error:
        return ""
    return _first_line(f"{error.get('type', 'error')}: {error.get('message', '')}")


def _first_line(text: str, width: int = 160) -> str:
    """Of a message whose first line announces a list, the list as well."""
    lines = text.strip().splitlines() or [""]
    said = " ".join(" ".join(lines).split()) if lines[0].endswith(":") else lines[0]
    return said if len(said) <= width else said[: width - 3] + "..."
