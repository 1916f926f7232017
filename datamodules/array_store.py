"""Arrays that are dear to make and cheap to keep: made once, by whoever comes first, and never taken half-written."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from datamodules.corpus import DataError
from datamodules.storage import atomic_file, made_once, reserve

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
    sound when written, in what `make` gives because nothing may be built on it. So do values beyond the range of
    `dtype`, a disk without room for the whole, before anything is made of it, and blocks that do not hold each row
    once.
    """

    def written() -> np.ndarray:
        if path.exists():
            warnings.warn(f"{path} {_fault(path, rows, dtype)}; it is made anew", UserWarning, stacklevel=4)
        with atomic_file(path) as content:
            _write(content, path, rows, make(), dtype)
        return _read(path)

    return made_once(path, lambda: kept_array(path, rows, dtype), written)


def kept_array(path: Path, rows: int, dtype: type[np.floating] = np.float32) -> np.ndarray | None:
    """The matrix that `stored_array` left at `path`; None where there is none, or none that is whole. Raises
    `DataError` for NaN or infinite values."""
    return None if _fault(path, rows, dtype) else _read(path)


def _read(path: Path) -> np.ndarray:
    array = np.load(path, mmap_mode="c")
    for part in _parts(array):
        _require_finite(part, path, "the file was damaged after it was written; delete it and it is made anew")
    return array


def _write(content: Path, path: Path, rows: int, blocks: Blocks, dtype: type[np.floating]) -> None:
    array, written = None, np.zeros(rows, dtype=bool)
    for numbers, values in blocks:
        kept = _in_range(values, path, dtype)
        if kept.ndim != 2 or len(numbers) != len(kept):
            raise DataError(f"a block of shape {kept.shape} was made for {len(numbers)} of {rows} rows", file=path)
        _require_new(numbers, written, path)
        array = _empty(content, (rows, kept.shape[1]), dtype) if array is None else array
        array[numbers] = kept
        written[numbers] = True
    if array is None or not written.all():
        raise DataError(f"{int(written.sum())} rows were made where {rows} were due", file=path)
    array.flush()


def _in_range(values: np.ndarray, path: Path, dtype: type[np.floating]) -> np.ndarray:
    """Values as they are kept. What is too large becomes infinite by the cast, which is then no fault of the maker."""
    _require_finite(values, path, "nothing was written; look at the model that made them")
    with np.errstate(over="ignore"):
        kept = np.asarray(values, dtype=dtype)
    if not np.isfinite(kept).all():
        limit = f"{np.abs(values).max():,.6g} lies beyond {np.finfo(dtype).max:,}, the largest {np.dtype(dtype)}"
        raise DataError(f"{limit}; nothing was written: choose a wider type (frozen_states=float32)", file=path)
    return kept


def _require_new(numbers: np.ndarray, written: np.ndarray, path: Path) -> None:
    """`written`: which rows are there already."""
    outside = numbers[(numbers < 0) | (numbers >= len(written))]
    if len(outside):
        raise DataError(f"row {outside[0]} was made, and there are {len(written)}, from 0", file=path)
    unique, counts = np.unique(numbers, return_counts=True)
    twice = unique[(counts > 1) | written[unique]]
    if len(twice):
        raise DataError(f"row {twice[0]} was made twice", file=path)


def _empty(content: Path, shape: tuple[int, int], dtype: type[np.floating]) -> np.memmap:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with content.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
    reserve(content, offset + shape[0] * shape[1] * np.dtype(dtype).itemsize)
    return np.memmap(content, dtype=dtype, mode="r+", offset=offset, shape=shape)


def _fault(path: Path, rows: int, dtype: type[np.floating]) -> str:
    """What is wrong with a file, if anything."""
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
