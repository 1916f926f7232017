"""One run in a process of its own: `python -m experiments.job RUN_DIR`. Knows no Hydra; reads the folder, fills it.

Ranks of a distributed run repeat this command (Lightning starts them), so they train this run and not the sweep. Only
the first of them writes the result; whichever fails first leaves its exception.
"""

import json
import os
import sys
import traceback
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from experiments.faults import INTERRUPTED, tell_warning
from experiments.runs.folder import RunFolder
from experiments.runs.lifeline import tie_to_parent
from experiments.runs.result import done


def is_first() -> bool:
    """Whether this process is rank 0 of its run. Lightning names the rank to the processes that it starts."""
    return all(int(os.environ.get(name, 0)) == 0 for name in ("LOCAL_RANK", "NODE_RANK"))


def run(folder: RunFolder) -> int:
    """Train as config.json says. Returns the exit status; an exception is written to error.json."""
    try:
        from experiments.training import train  # imports torch: seconds, and within reach of the handler

        train(folder.read("config.json"), folder.path, partial(_keep, folder))
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent records it
        _leave(folder.path / "error.json", error)
        return 1
    return 0


def _keep(folder: RunFolder, result: dict[str, Any]) -> None:
    if is_first():
        done(folder, result)


def _leave(path: Path, error: Exception) -> None:
    """The first exception is the cause; those of other ranks are its consequences.

    A `ValueError` says what is wrong with what was given, so its traceback stands in the file alone.
    """
    if isinstance(error, ValueError):
        print(f"failed, see {path}", file=sys.stderr)
    else:
        traceback.print_exc()
    record = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(record, file)
    except FileExistsError:
        print(f"{path.name} is there already: another rank failed first", file=sys.stderr)


def main() -> None:
    """Entry point."""
    if len(sys.argv) != 2 or not Path(sys.argv[1], "config.json").is_file():
        sys.exit(
            "usage: python -m experiments.job RUN_DIR, a folder that experiments.train has begun (with a config.json)"
        )
    tie_to_parent()
    warnings.showwarning = tell_warning
    folder = RunFolder(Path(sys.argv[1]).absolute())
    with folder.occupy() if is_first() else nullcontext():
        try:
            sys.exit(run(folder))
        except KeyboardInterrupt:  # outside of Lightning's loop; who started this says what it means
            sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
