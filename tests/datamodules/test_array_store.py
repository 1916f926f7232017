"""An array is made once and believed only while it is whole."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from datamodules.array_store import stored_array
from datamodules.corpus import DataError

ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3)


def never() -> np.ndarray:
    raise AssertionError("the array was made a second time")


def test_an_array_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "features.npy"
    assert stored_array(path, 4, lambda: ARRAY).tolist() == ARRAY.tolist()
    again = stored_array(path, 4, never)
    assert isinstance(again, np.memmap)
    assert again.tolist() == ARRAY.tolist()


def test_changing_what_was_read_does_not_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    stored_array(path, 4, lambda: ARRAY)[:] = 7.0
    assert stored_array(path, 4, never).tolist() == ARRAY.tolist()


@pytest.mark.parametrize("length", [0, 5, 60, 130, 175])  # within the magic number, the header and the numbers
def test_a_file_cut_short_is_refused_and_made_anew(length: int, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    stored_array(path, 4, lambda: ARRAY)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.warns(UserWarning, match="cut short or no array"):
        assert stored_array(path, 4, lambda: ARRAY).tolist() == ARRAY.tolist()
    assert stored_array(path, 4, never).tolist() == ARRAY.tolist()


@pytest.mark.parametrize("other", [ARRAY[:3], ARRAY.astype(np.float64), ARRAY.reshape(4, 3, 1)])
def test_an_array_of_another_shape_or_type_is_made_anew(other: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, other)
    with pytest.warns(UserWarning, match="not float32 of 4 rows"):
        assert stored_array(path, 4, lambda: ARRAY).tolist() == ARRAY.tolist()


def test_a_file_with_something_behind_the_array_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    stored_array(path, 4, lambda: ARRAY)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.warns(UserWarning, match="has 180 bytes, not 176"):
        assert stored_array(path, 4, lambda: ARRAY).tolist() == ARRAY.tolist()
    assert path.stat().st_size == 176


def test_nan_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    with pytest.raises(DataError, match=r"features.npy: 1 of 4 rows hold NaN .* nothing was written"):
        stored_array(path, 4, lambda: np.where(ARRAY == 5, np.nan, ARRAY))
    assert [entry.name for entry in tmp_path.iterdir()] == ["features.npy.lock"]


def test_nan_in_a_file_raises_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, np.where(ARRAY > 5, np.inf, ARRAY).astype(np.float32))
    with pytest.raises(DataError, match=r"features.npy: 2 of 4 rows hold NaN .* delete it"):
        stored_array(path, 4, never)


def test_what_is_made_must_have_the_rows_that_are_due(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"shape \(4, 3\) was made where 5 rows were due"):
        stored_array(tmp_path / "features.npy", 5, lambda: ARRAY)


def _make_and_count(path: Path, barrier: "multiprocessing.synchronize.Barrier") -> None:
    def make() -> np.ndarray:
        with (path.parent / "count").open("a") as file:
            file.write("x")
        return ARRAY

    barrier.wait()
    assert stored_array(path, 4, make).tolist() == ARRAY.tolist()


def test_of_three_processes_one_makes_the_array(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    jobs = [context.Process(target=_make_and_count, args=(tmp_path / "features.npy", barrier)) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "x"
