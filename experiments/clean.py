"""Remove what no result needs, after saying what it is and asking.

    python -m experiments.clean                  # checkpoints of the last step of finished runs, leftovers of kills
    python -m experiments.clean --unfinished     # also runs that failed or were interrupted and that no sweep names;
                                                 # a search that is gone on with makes such trials anew
    python -m experiments.clean --caches         # also what can be made again: prepared corpora, tokens, frozen states

A finished run keeps its result, its best checkpoint, its values per query and its log; studies of experiments.tune
stay. Nothing that a process works on is touched, be it only since the question was asked. The last line of standard
output is the folder.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from datamodules.corpus import DataError
from datamodules.storage import LeaseTaken, abandoned, lease
from experiments.faults import told
from experiments.runs.folder import ASIDE, LEASES, RunFolder, claimed
from experiments.runs.read import read_record
from experiments.units import size


@dataclass(frozen=True)
class Waste:
    """A file or folder that no result needs, of a kind. hold: what is held while it goes; raises `LeaseTaken` where a
    process works on it. still: asked then, whether nothing needs it yet."""

    what: str
    path: Path
    hold: Callable[[], AbstractContextManager[None]] = nullcontext
    still: Callable[[], bool] = lambda: True

    @property
    def bytes(self) -> int:
        """On the disk."""
        return sum(map(_size, _files(self.path)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, also where nothing was removed; 1 with one line on standard error where there are no runs."""
    return told(partial(clean, _parser().parse_args(arguments)), "clean")


def clean(options: argparse.Namespace) -> None:
    """Find, show, ask, remove."""
    root: Path = options.runs_dir
    if not root.is_dir():
        raise DataError("no such folder of runs", root)
    found = waste_of(root, options.unfinished, options.caches)
    if not found:
        print("nothing here that no result needs")
    else:
        _show(found)
        if options.yes or _agreed(sum(waste.bytes for waste in found)):
            print(f"removed {size(sum(_remove(waste) for waste in found))}")
        else:
            print("nothing was removed")
    print(root)


def waste_of(root: Path, unfinished: bool, caches: bool) -> list[Waste]:
    """One kind after another. Raises `DataError` where the folder is none of runs, or where caches are asked for that a
    running job reads."""
    folders = [RunFolder(path) for path in sorted(root.glob("[!.]*")) if _is_run(path)]
    if not folders and not any((root / name).is_dir() for name in ("sweeps", LEASES)):
        raise DataError("no folder of runs: it holds neither a run nor a sweep", root)
    busy = claimed(root)
    if caches and busy:
        raise DataError(f"{min(busy)} is running and reads the caches; wait for it, or leave --caches out", root)
    idle = [folder for folder in folders if folder.id not in busy]
    found = [
        *(_of_run("last checkpoints of finished runs", folder, "last.ckpt", _is_done) for folder in idle),
        *(Waste("runs thrown away halfway", path, owner.hold) for path, owner in _aside(root)),
        *(Waste("half-written files", path, partial(lease, path / "owner", wait=False)) for path in abandoned(root)),
    ]
    if not busy:  # a launcher keeps there what its jobs read
        found.append(Waste("Hydra's own records", root / "sweeps" / ".hydra", partial(_unread, root)))
    if unfinished:
        found += [_of_run("failed and interrupted runs of no sweep", folder, "", _is_lost) for folder in idle]
    if caches:
        found.append(Waste("caches, made again when they are needed", root / "cache", partial(_unread, root)))
    return [waste for waste in found if waste.path.exists() and not _is_emptied(waste.path) and waste.still()]


def _of_run(what: str, folder: RunFolder, name: str, still: Callable[[RunFolder], bool]) -> Waste:
    return Waste(what, folder.path / name, folder.hold, partial(still, folder))


def _is_run(folder: Path) -> bool:
    """Whether a run was begun here. A language model has a folder with a config.json too."""
    return any((folder / name).exists() for name in ("overrides.json", "result.json"))


def _is_done(folder: RunFolder) -> bool:
    return bool(folder.read("result.json").get("status") == "done")


def _is_lost(folder: RunFolder) -> bool:
    return not _is_done(folder) and folder.id not in _named(folder.path.parent)


def _aside(root: Path) -> list[tuple[Path, RunFolder]]:
    """What a kill left of runs that were to begin anew, and whose it was."""
    named = [(path, ASIDE.fullmatch(path.name)) for path in sorted(root.glob(".*-*"))]
    return [(path, RunFolder(root / match["id"])) for path, match in named if match and path.is_dir()]


@contextmanager
def _unread(root: Path) -> Iterator[None]:
    if claimed(root):
        raise LeaseTaken(f"jobs read what lies in {root}")
    yield


def _named(root: Path) -> set[str]:
    """Runs that a sweep's manifest names, so that its table tells of them."""
    jobs = [job for path in (root / "sweeps").glob("*.json") for job in read_record(path).get("runs", [])]
    return {job["id"] for job in jobs if job.get("id")}


def _show(found: Sequence[Waste]) -> None:
    table = Table("what", "how many", "size", "such as")
    for what in dict.fromkeys(waste.what for waste in found):
        kind = [waste for waste in found if waste.what == what]
        table.add_row(*map(Text, (what, str(len(kind)), size(sum(waste.bytes for waste in kind)), str(kind[0].path))))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _agreed(freed: int) -> bool:
    """Ask a person; where none is there, nothing is agreed to."""
    if not sys.stdin.isatty():
        print("--yes removes it", file=sys.stderr)
        return False
    return input(f"Remove {size(freed)}? [y/N] ").strip().lower() in ("y", "yes")


def _remove(waste: Waste) -> int:
    """Bytes that went: none where a process works on it by now, or where it is gone or needed."""
    try:
        with waste.hold():
            if not (waste.path.exists() and waste.still()):
                return 0
            freed = waste.bytes
            _delete(waste.path)
            return freed
    except LeaseTaken:
        print(f"{waste.path} stays: a process works on it")
        return 0
    except FileNotFoundError:  # the folder in which it lay went meanwhile
        return 0


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:  # os.walk passes over folders that are gone by the time that it looks
        yield from (Path(folder, name) for folder, _, names in os.walk(path) for name in names)


def _size(file: Path) -> int:
    """Nothing where it is gone meanwhile: processes elsewhere go on."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _delete(path: Path) -> None:
    """Of a link to a folder, what that holds: whoever made the link chose another disk, and wants it there again."""
    if path.is_dir() and path.is_symlink():
        for inner in path.iterdir():
            _delete_own(inner)
    else:
        _delete_own(path)


def _delete_own(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _is_emptied(path: Path) -> bool:
    """Whether it is a link that stays, and nothing behind it."""
    return path.is_symlink() and path.is_dir() and not any(path.iterdir())


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
