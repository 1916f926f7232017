"""Arrays that are dear to make and cheap to keep: made once, by whoever comes first, and never taken half-written."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datamodules.corpus import DataError
from datamodules.storage import atomic_write, lease


def stored_array(path: Path, rows: int, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The float32 matrix of `rows` rows at `path` (.npy), made and written first where it is not there.

    Of several processes that want the same path one makes it and the others wait. The file is memory-mapped, copy on
    write. A file that is cut short, no array, or of another shape or type is made anew, with a UserWarning. NaN or
    infinite values raise `DataError`: in a file because it was sound when written, in what `make` returns because
    nothing may be built on it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with lease(path.with_name(f"{path.name}.lock")):
        if not _is_sound(path, rows):
            made = np.ascontiguousarray(make(), dtype=np.float32)
            if made.ndim != 2 or len(made) != rows:
                raise DataError(f"an array of shape {made.shape} was made where {rows} rows were due", file=path)
            _require_finite(made, path, "nothing was written; look at the model that made them")
            buffer = io.BytesIO()
            np.save(buffer, made)
            atomic_write(path, buffer.getvalue())
    array = np.load(path, mmap_mode="c")
    _require_finite(array, path, "the file was damaged after it was written; delete it and it is made anew")
    return array


def _is_sound(path: Path, rows: int) -> bool:
    """Whether the file is there and whole; warns where it is there and is not."""
    if not path.exists():
        return False
    fault = _fault(path, rows)
    if fault:
        warnings.warn(f"{path} {fault}; it is made anew", UserWarning, stacklevel=3)
    return not fault


def _fault(path: Path, rows: int) -> str:
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        return f"is cut short or no array ({error})"
    if array.ndim != 2 or len(array) != rows or array.dtype != np.float32:
        return f"holds {array.dtype} of shape {array.shape}, not float32 of {rows} rows"
    whole = array.offset + array.nbytes
    return "" if path.stat().st_size == whole else f"has {path.stat().st_size} bytes, not {whole}"


def _require_finite(array: np.ndarray, path: Path, way_out: str) -> None:
    bad = int((~np.isfinite(array)).any(1).sum())
    if bad:
        raise DataError(f"{bad} of {len(array)} rows hold NaN or infinite values: {way_out}", file=path)
