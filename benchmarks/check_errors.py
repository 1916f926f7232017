"""Bad input, given to the real programs: one message that names the place and the way out, and nothing half-written.

python -m benchmarks.check_errors
"""

import re
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.checking import Check, program, run
from benchmarks.faulty_input import cut_short_server, write_all
from experiments.runs.lifeline import tied
from experiments.runs.provenance import ROOT

TINY = ("backbone=bert_tiny", "strategy=frozen", "trainer.max_epochs=1", "logger=none")
ROOM = 200 * 1024
"""Bytes that a file may have where the disk is said to be full."""
HALF_WRITTEN = re.compile(r"\.partial|\.tmp$|download\.zip|\.part$")


@dataclass(frozen=True)
class Case:
    """An input, the program it is given to, and what the message must name. room: bytes that a file may have."""

    name: str
    program: str
    words: Sequence[str]
    names: Sequence[str]
    room: int | None = None


def main() -> int:
    """Entry point."""
    check = Check("Does bad input end in one clear message, with nothing half-written left behind?")
    with tempfile.TemporaryDirectory() as folder, cut_short_server() as server:
        place = Path(folder)
        write_all(place / "data")
        for case in corpora(place, server) + settings(place) + full_disk(place):
            refuse(check, case, place)
        sound = trained(place, "sound", *TINY)
        other = trained(place, "sound", *TINY, "backbone=item_id", "strategy=full")
        for case in questions(sound, other):
            refuse(check, case, place)
        lonely_user(check, place)
    return check.close()


def corpora(place: Path, server: str) -> list[Case]:
    """Faults of raw files."""
    faults = {
        "column": ("a missing column", ["column.inter", "line 1", "item_id"]),
        "time": ("a time that is no number", ["time.inter", "line 5", "yesterday"]),
        "textless": ("an item without text", ["textless.item", "line 6", "i4"]),
        "empty": ("an empty file", ["empty.inter", "empty"]),
        "all_once": ("users with one event each", ["all_once"]),
    }
    cases = [
        Case(text, "experiments.train", train_words(place, name, *TINY), names)
        for name, (text, names) in faults.items()
    ]
    words = [f"data_dir={place}/loaded", f"runs_dir={place}/runs", f"+datamodule.source.url={server}", *TINY]
    names = ["ml-latest-small.zip", "40000 of 100000 bytes"]
    return [*cases, Case("a download that is cut short", "experiments.train", ["datamodule=movielens", *words], names)]


def settings(place: Path) -> list[Case]:
    """Faults of the command line."""
    targets = ["backbone=bert_tiny", "strategy=lora", "strategy.targets=[qery]", "trainer.max_epochs=1", "logger=none"]
    asked = {
        "a misspelt seam": (["stratgy=lora"], ["stratgy", "strategy"]),
        "a misspelt choice": (["strategy=lorra"], ["lorra", "lora"]),
        "a misspelt setting": (["head.tua=0.2"], ["head.tua", "tau"]),
        "a LoRA target that matches nothing": (targets, ["qery", "query"]),
    }
    return [
        Case(name, "experiments.train", train_words(place, "sound", *words), names)
        for name, (words, names) in asked.items()
    ]


def full_disk(place: Path) -> list[Case]:
    """No file may grow beyond `ROOM`: first while data are prepared, then while the vectors of a frozen model are
    kept."""
    words = [f"runs_dir={place}/full", *TINY]
    many, vectors = ["datamodule.source.users=2000", *words], ["datamodule.source.users=60", *words, "backbone=minilm"]
    return [
        Case("a full disk while data are prepared", "experiments.train", many, ["prepared", "no room", "Free"], ROOM),
        Case("a full disk while vectors are kept", "experiments.train", vectors, ["features", "no room", "Free"], ROOM),
    ]


def questions(sound: Path, other: Path) -> list[Case]:
    """Faults of what a trained model is asked."""
    foreign = ["--checkpoint", str(other / "best.ckpt")]
    return [
        Case("a history of unknown items", "experiments.recommend", [str(sound), "--items", "x1,x2"], ["x1", "x2"]),
        Case("an unknown user", "experiments.recommend", [str(sound), "--user", "u99"], ["u99"]),
        Case("a checkpoint of another model", "experiments.evaluate", [str(sound), *foreign], ["best.ckpt"]),
    ]


def train_words(place: Path, corpus: str, *words: str) -> list[str]:
    """Overrides for a corpus made here."""
    source = ["datamodule=atomic", f"datamodule.source.name={corpus}"]
    return [*source, f"data_dir={place}/data", f"runs_dir={place}/runs", *words]


def trained(place: Path, corpus: str, *words: str) -> Path:
    """Folder of a sound run."""
    return run("experiments.train", train_words(place, corpus, *words)).path


def refuse(check: Check, case: Case, place: Path) -> None:
    """Give the program the bad input; show its message, and what it left."""
    print(f"\n{case.name}\n$ python -m {case.program} {shlex.join(case.words)}".replace(str(place), "DIR"), flush=True)
    before = files(place)
    done = subprocess.run(
        program(case.program, case.words),
        cwd=ROOT,
        env=tied(),
        capture_output=True,
        text=True,
        preexec_fn=None if case.room is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (case.room,) * 2),
    )
    printed = done.stdout + done.stderr
    print("\n".join(f"    {line}" for line in printed.strip().splitlines()[-12:]).replace(str(place), "DIR"))
    left = sorted(files(place) - before)
    print(f"  files made: {', '.join(grouped(left)) or 'none'}")
    missing = [name for name in case.names if name not in printed]
    check.hold(case.name, f"exit status {done.returncode}", "not 0", done.returncode != 0)
    check.hold(
        f"{case.name}, message", f"lacks {missing}" if missing else f"names {', '.join(case.names)}", "all", not missing
    )
    shown = "shown" if "Traceback" in printed else "none"
    check.hold(f"{case.name}, traceback", shown, "none", shown == "none")
    half = [name for name in left if HALF_WRITTEN.search(name)]
    check.hold(f"{case.name}, half-written", ", ".join(half) or "nothing", "nothing", not half)


def files(place: Path) -> set[str]:
    """Everything below a folder but locks."""
    return {
        path.relative_to(place).as_posix()
        for path in place.rglob("*")
        if path.is_file() and ".leases" not in path.parts
    }


def grouped(paths: list[str]) -> list[str]:
    """FOLDER (COUNT) of each folder that has some."""
    folders = [str(Path(path).parent) for path in paths]
    return [f"{folder} ({folders.count(folder)})" for folder in dict.fromkeys(folders)]


def lonely_user(check: Check, place: Path) -> None:
    """A user with one event trains nothing and is asked nothing, but gets recommendations like anyone."""
    print("\na user with one event")
    folder = trained(place, "once", *TINY)
    finished = run("experiments.recommend", [str(folder), "--user", "lonely", "-k", "3"], may_fail=True)
    print(finished.out + finished.err)
    check.hold("a user with one event", f"exit status {finished.status}", "recommendations", finished.status == 0)


if __name__ == "__main__":
    sys.exit(main())
