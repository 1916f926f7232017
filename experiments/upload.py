"""Send runs that were kept offline to Weights & Biases.

    wandb login
    python -m experiments.upload runs/sweeps/NAME.json

PATHS are sweeps' manifests, run folders or folders of them. What was sent before is not sent again. Where it goes is
said by W&B's own settings: `wandb login`, or WANDB_API_KEY, WANDB_BASE_URL, WANDB_ENTITY. Exit status 1 where something
was not sent; the same command then goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from datamodules.corpus import DataError
from experiments.faults import told
from experiments.runs.folder import RunFolder
from experiments.tables.collect import collect
from experiments.tracking.upload import files_of, is_sent, send, stay_with


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where everything is sent."""
    options = _parser().parse_args(arguments)
    if options.follow is not None:
        return 0 if stay_with(RunFolder(options.follow)) else 1
    return told(partial(upload, options), "upload")


def upload(options: argparse.Namespace) -> None:
    """Send what is not sent. Raises `DataError` where W&B wrote nothing, or something is left over."""
    folders = [run.folder for run in collect(options.paths) if run.folder is not None]
    files = [file for folder in folders for file in files_of(folder)]
    if not files:
        raise DataError("W&B wrote nothing for these runs: they ran with another logger")
    waiting = [file for file in files if not is_sent(file)]
    if waiting:
        send(waiting).wait()
    left = [file for file in waiting if not is_sent(file)]
    print(f"{len(files) - len(left)} of {len(files)} files are sent")
    if left:
        raise DataError(f"{len(left)} were not sent, see above; the same command tries again", left[0])
    print(options.paths[0])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.upload", description=(__doc__ or "").splitlines()[0])
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("paths", nargs="*", type=Path, default=[], metavar="PATH", help="manifest, run folder or folder")
    asked.add_argument("--follow", type=Path, metavar="RUN_DIR", help="send one run while it is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
