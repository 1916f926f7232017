"""Remove what no result needs, after saying what it is and asking.

    python -m experiments.clean                  # checkpoints of the last step of finished runs, leftovers of kills
    python -m experiments.clean --unfinished     # also runs that failed or were interrupted and that no sweep names
    python -m experiments.clean --caches         # also what can be made again: prepared corpora, tokens, frozen states

A finished run keeps its result, its best checkpoint, its values per query and its log. Nothing that a process works on
is touched. The last line of standard output is the folder.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from datamodules.corpus import DataError
from datamodules.storage import abandoned
from experiments.faults import told
from experiments.runs.folder import RunFolder
from experiments.runs.read import is_run_folder, read_record
from experiments.units import size


@dataclass(frozen=True)
class Waste:
    """Files or folders of one kind that no result needs."""

    what: str
    paths: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """On the disk."""
        return sum(file.stat().st_size for path in self.paths for file in _files(path))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, also where nothing was removed; 1 with one line on standard error where there are no runs."""
    return told(partial(clean, _parser().parse_args(arguments)), "clean")


def clean(options: argparse.Namespace) -> None:
    """Find, show, ask, remove."""
    root: Path = options.runs_dir
    if not root.is_dir():
        raise DataError("no such folder of runs", root)
    found = [waste for waste in waste_of(root, options.unfinished, options.caches) if waste.paths]
    freed = sum(waste.bytes for waste in found)
    if not found:
        print("nothing here that no result needs")
    else:
        _show(found)
        if options.yes or _agreed(freed):
            _remove(path for waste in found for path in waste.paths)
            print(f"removed {size(freed)}")
        else:
            print("nothing was removed")
    print(root)


def waste_of(root: Path, unfinished: bool, caches: bool) -> list[Waste]:
    """By kind. Raises `DataError` where caches are asked for that a running job reads."""
    folders = [RunFolder(path) for path in sorted(root.glob("[!.]*")) if is_run_folder(path)]
    busy = [folder for folder in folders if folder.is_occupied()]
    if caches and busy:
        raise DataError(f"{busy[0].id} is running and reads the caches; wait for it, or leave --caches out", root)
    idle = [folder for folder in folders if folder not in busy]
    done = [folder for folder in idle if folder.read("result.json").get("status") == "done"]
    kinds = [
        Waste("last checkpoints of finished runs", _present(folder.path / "last.ckpt" for folder in done)),
        Waste("runs thrown away halfway", tuple(path for path in root.glob(".*-*-*") if path.is_dir())),
        Waste("half-written files", tuple(abandoned(root))),
        Waste("Hydra's own records", _present([root / "sweeps" / ".hydra"])),
    ]
    if unfinished:
        named = _named(root)
        lost = (folder.path for folder in idle if folder not in done and folder.id not in named)
        kinds.append(Waste("failed and interrupted runs of no sweep", tuple(lost)))
    if caches:
        kinds.append(Waste("caches, made again when they are needed", _present([root / "cache"])))
    return kinds


def _named(root: Path) -> set[str]:
    """Runs that a sweep's manifest names, so that its table tells of them."""
    jobs = [job for path in (root / "sweeps").glob("*.json") for job in read_record(path).get("runs", [])]
    return {job["id"] for job in jobs if job.get("id")}


def _present(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.exists())


def _show(found: Sequence[Waste]) -> None:
    table = Table("what", "how many", "size", "such as")
    for waste in found:
        table.add_row(*map(Text, (waste.what, str(len(waste.paths)), size(waste.bytes), str(waste.paths[0]))))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _agreed(freed: int) -> bool:
    """Ask a person; where none is there, nothing is agreed to."""
    if not sys.stdin.isatty():
        print("--yes removes it", file=sys.stderr)
        return False
    return input(f"Remove {size(freed)}? [y/N] ").strip().lower() in ("y", "yes")


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.clean", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("runs_dir", nargs="?", type=Path, default=Path("runs"), metavar="FOLDER", help="default: runs")
    add("--unfinished", action="store_true", help="also failed and interrupted runs that no sweep names")
    add("--caches", action="store_true", help="also what can be made again from the data")
    add("--yes", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
