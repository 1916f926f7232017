"""From paths on the command line to the runs of a table, and where the table goes."""

from collections.abc import Iterable
from pathlib import Path

from datamodules.corpus import DataError
from experiments.runs.read import Run, is_run_folder, read_run, read_sweep


def collect(paths: Iterable[Path]) -> list[Run]:
    """All runs that the paths name, each once, in the order given.

    A path is a sweep's manifest, a run's folder, or a folder of run folders. Raises `DataError` where one holds no run.
    """
    runs = {run.id if run.folder else (path, run.id): run for path in paths for run in _runs_of(path)}
    return list(runs.values())


def place_beside(path: Path, suffix: str) -> Path:
    """Where a table of `path` goes by default: beside a manifest, inside a folder of runs, beside a run's folder."""
    if path.is_file():
        return path.with_suffix(suffix)
    folder = path.resolve()
    return folder.parent / f"{folder.name}{suffix}" if is_run_folder(path) else folder / f"table{suffix}"


def _runs_of(path: Path) -> Iterable[Run]:
    if path.is_file():
        return read_sweep(path).runs
    if not path.is_dir():
        raise DataError("no such file or folder; expected a sweep's manifest, a folder of runs or a run's folder", path)
    if is_run_folder(path):
        return [read_run(path)]
    folders = sorted(folder for folder in path.iterdir() if _is_visible(folder) and is_run_folder(folder))
    if not folders:
        raise DataError("holds no runs: none of its folders has a result.json or config.json", path)
    return [read_run(folder) for folder in folders]


def _is_visible(folder: Path) -> bool:
    """Hidden folders are locks, and what a kill left of a run that was being thrown away."""
    return folder.is_dir() and not folder.name.startswith(".")
