"""What to carry to a machine without a package index: MiniLM in half precision, ml-100k, and the prepared corpora.

    python -m benchmarks.loops.carried                   writes runs/carried
    python -m benchmarks.gpu --carried runs/carried      uses it, on the other machine

Prepared corpora need no database there. Half precision is enough for speed: it is read as float32, and moves a weight
by a two-thousandth of itself. Wheels are put beside it by hand, see docs/gpu.md.
"""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from benchmarks.checking import data_dir
from benchmarks.loops.corpora import CACHE, mind_titles
from benchmarks.loops.setting import Setting, data_and_folder
from experiments.runs.provenance import ROOT

FOLDER = ROOT / "runs" / "carried"
RAW = ("ml-100k/ml-100k.inter", "ml-100k/ml-100k.item")
"""Read to the last byte to know whether what is prepared is still theirs."""
MODEL, DATA, KEPT = "minilm", "data", "cache"
LIMIT_MIB = 64.0


def main() -> int:
    """Entry point: 1 where it came out larger than what may travel."""
    parser = argparse.ArgumentParser("python -m benchmarks.loops.carried", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--model", type=Path, help="folder of the language model (default: MiniLM's)")
    given = parser.parse_args()
    write(given.folder, given.model)
    sizes = {path: path.stat().st_size / 2**20 for path in sorted(given.folder.rglob("*")) if path.is_file()}
    for path, size in sizes.items():
        print(f"{size:8.2f} MiB  {path.relative_to(given.folder)}")
    print(f"{sum(sizes.values()):8.2f} MiB  in all, of {LIMIT_MIB:g}")
    print(given.folder)
    return int(sum(sizes.values()) > LIMIT_MIB)


def write(folder: Path, model: Path | None = None) -> None:
    """Fill the folder; what it holds of an earlier time is replaced."""
    for name in (MODEL, DATA, KEPT):
        shutil.rmtree(folder / name, ignore_errors=True)
    found = None
    for corpus in ("ml100k", "mind"):
        data, found = data_and_folder(Setting(corpus, "full", 1).config())
        _copy(data.prepared.folder, folder / KEPT / "prepared")
    _copy(mind_titles(), folder / KEPT)
    for name in RAW:
        (folder / DATA / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data_dir() / name, folder / DATA / name)
    assert found is not None
    halve(model or found, folder / MODEL)


def halve(model: Path, folder: Path) -> None:
    """Copy a language model's folder, with its weights in half precision."""
    folder.mkdir(parents=True)
    for path in (path for pattern in ("*.json", "vocab.txt") for path in model.glob(pattern)):
        shutil.copy(path, folder / path.name)
    weights = load_file(model / "model.safetensors")
    half = {name: w.astype(np.float16) if w.dtype == np.float32 else w for name, w in weights.items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})


def unpack(folder: Path, cache: Path = CACHE) -> tuple[str, ...]:
    """Put corpora where they are looked for, unless they lie there already or INTERESTLAB_DATA names others; gives the
    words that name the model. Nothing where there is no such folder."""
    if not folder.is_dir():
        return ()
    os.environ.setdefault("INTERESTLAB_DATA", str((folder / DATA).absolute()))
    for path in (*(folder / KEPT / "prepared").iterdir(), folder / KEPT / "mind_titles"):
        target = cache / path.relative_to(folder / KEPT)
        if not target.exists():
            shutil.copytree(path, target)
    return (f"backbone.path={(folder / MODEL).absolute()}",)


def _copy(source: Path, into: Path) -> None:
    shutil.copytree(source, into / source.name)


if __name__ == "__main__":
    raise SystemExit(main())
