"""Send runs that were kept offline to Weights & Biases.

    wandb login
    python -m experiments.upload runs/sweeps/NAME.json

PATHS are sweeps' manifests, run folders or folders of them. What was sent before is not sent again. Where it goes is
said by W&B's own settings: `wandb login`, or WANDB_API_KEY, WANDB_BASE_URL, WANDB_ENTITY. Runs that a process makes or
sends now are left out. Exit status 1 where something was not sent; the same command then goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from datamodules.corpus import DataError
from experiments.faults import told
from experiments.runs.folder import RunFolder
from experiments.runs.lifeline import hear_scheduler
from experiments.tables.collect import collect
from experiments.tracking.sender import is_cut, is_sent, require_login
from experiments.tracking.upload import files_of, send_kept, stay_with, unsent

NAMED = 5
"""Runs that a message names."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where everything is sent."""
    options = _parser().parse_args(arguments)
    if options.follow is not None:
        hear_scheduler()
        return 0 if stay_with(RunFolder(options.follow)) else 1
    return told(partial(upload, options), "upload")


def upload(options: argparse.Namespace) -> None:
    """Send what is not sent. Raises `DataError` where W&B wrote nothing, or something is left over."""
    folders = [RunFolder(run.folder) for run in collect(options.paths) if run.folder is not None]
    files = [file for folder in folders for file in files_of(folder.path)]
    if not files:
        raise DataError("W&B wrote nothing for these runs: they ran with another logger")
    kept = [folder for folder in folders if unsent(folder.path)]
    if kept:
        require_login()
    busy = send_kept(kept)
    left = [file for file in files if not is_sent(file)]
    cut = sum(map(is_cut, files))
    short = f", {cut} of them as far as they go: their runs were killed while they wrote" if cut else ""
    print(f"{len(files) - len(left)} of {len(files)} files are sent{short}")
    if left:
        raise DataError(_left_over(len(left), busy), left[0])
    print(options.paths[0])


def _left_over(count: int, busy: Sequence[RunFolder]) -> str:
    said = f"{count} were not sent, see above; the same command tries again"
    if not busy:
        return said
    names = ", ".join(folder.id for folder in busy[:NAMED]) + (", ..." if len(busy) > NAMED else "")
    return f"{said}. {len(busy)} runs were left out, for a process makes or sends them now: {names}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.upload", description=(__doc__ or "").splitlines()[0])
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("paths", nargs="*", type=Path, default=[], metavar="PATH", help="manifest, run folder or folder")
    asked.add_argument("--follow", type=Path, metavar="RUN_DIR", help="send one run while it is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
