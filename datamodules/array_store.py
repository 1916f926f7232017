"""Arrays that are dear to make and cheap to keep: made once, by whoever comes first, and never taken half-written."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from datamodules.corpus import DataError
from datamodules.storage import atomic_file, lease, reserve

Blocks = Iterable[tuple[np.ndarray, np.ndarray]]
"""Row numbers, and these rows' values; together every row once, in any order."""

_ROWS_AT_ONCE = 1 << 16


def stored_array(
    path: Path, rows: int, make: Callable[[], Blocks], dtype: type[np.floating] = np.float32
) -> np.ndarray:
    """The matrix of `rows` rows at `path` (.npy), made and written first where it is not there.

    Of several processes that want the same path one makes it and the others wait. It is written block by block, so it
    may be larger than the memory, and memory-mapped, copy on write. A file that is cut short, no array, or of another
    shape or type is made anew, with a UserWarning. NaN or infinite values raise `DataError`: in a file because it was
    sound when written, in what `make` gives because nothing may be built on it. So do a disk without room for the
    whole, before anything is made of it, and blocks that do not hold each row once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with lease(path.with_name(f"{path.name}.lock")):
        if not _is_sound(path, rows, dtype):
            with atomic_file(path) as content:
                _write(content, path, rows, make(), dtype)
    array = np.load(path, mmap_mode="c")
    for part in _parts(array):
        _require_finite(part, path, "the file was damaged after it was written; delete it and it is made anew")
    return array


def _write(content: Path, path: Path, rows: int, blocks: Blocks, dtype: type[np.floating]) -> None:
    array, written = None, np.zeros(rows, dtype=bool)
    for numbers, values in blocks:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused for that
            kept = np.asarray(values, dtype=dtype)
        _require_finite(kept, path, "nothing was written; look at the model that made them")
        if kept.ndim != 2 or len(numbers) != len(kept) or (len(numbers) and numbers.max() >= rows):
            raise DataError(f"a block of shape {kept.shape} was made for {len(numbers)} of {rows} rows", file=path)
        array = _empty(content, (rows, kept.shape[1]), dtype) if array is None else array
        array[numbers] = kept
        written[numbers] = True
    if array is None or not written.all():
        raise DataError(f"{int(written.sum())} rows were made where {rows} were due", file=path)
    array.flush()


def _empty(content: Path, shape: tuple[int, int], dtype: type[np.floating]) -> np.memmap:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with content.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
    reserve(content, offset + shape[0] * shape[1] * np.dtype(dtype).itemsize)
    return np.memmap(content, dtype=dtype, mode="r+", offset=offset, shape=shape)


def _is_sound(path: Path, rows: int, dtype: type[np.floating]) -> bool:
    """Whether the file is there and whole; warns where it is there and is not."""
    if not path.exists():
        return False
    fault = _fault(path, rows, dtype)
    if fault:
        warnings.warn(f"{path} {fault}; it is made anew", UserWarning, stacklevel=3)
    return not fault


def _fault(path: Path, rows: int, dtype: type[np.floating]) -> str:
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        return f"is cut short or no array ({error})"
    if array.ndim != 2 or len(array) != rows or array.dtype != dtype:
        return f"holds {array.dtype} of shape {array.shape}, not {np.dtype(dtype)} of {rows} rows"
    whole = array.offset + array.nbytes
    return "" if path.stat().st_size == whole else f"has {path.stat().st_size} bytes, not {whole}"


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    return (array[start : start + _ROWS_AT_ONCE] for start in range(0, len(array), _ROWS_AT_ONCE))


def _require_finite(array: np.ndarray, path: Path, way_out: str) -> None:
    bad = int((~np.isfinite(array)).any(-1).sum())
    if bad:
        raise DataError(f"{bad} of {len(array)} rows hold NaN or infinite values: {way_out}", file=path)
