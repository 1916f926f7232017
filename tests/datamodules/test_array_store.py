"""An array is made once and believed only while it is whole."""

import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules.array_store import kept_array, stored_array
from datamodules.corpus import DataError

ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3)


def made(array: np.ndarray = ARRAY) -> Callable[[], list]:
    """Two blocks, out of order."""
    return lambda: [(np.array([1, 3]), array[[1, 3]]), (np.array([2, 0]), array[[2, 0]])]


def never() -> list:
    raise AssertionError("the array was made a second time")


def test_an_array_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "features.npy"
    assert stored_array(path, 4, made()).tolist() == ARRAY.tolist()
    again = stored_array(path, 4, never)
    assert isinstance(again, np.memmap)
    assert again.tolist() == ARRAY.tolist()


def test_changing_what_was_read_does_not_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    stored_array(path, 4, made())[:] = 7.0
    assert stored_array(path, 4, never).tolist() == ARRAY.tolist()


@pytest.mark.parametrize("length", [0, 5, 60, 130, 175])  # within the magic number, the header and the numbers
def test_a_file_cut_short_is_refused_and_made_anew(length: int, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    stored_array(path, 4, made())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.warns(UserWarning, match="cut short or no array"):
        assert stored_array(path, 4, made()).tolist() == ARRAY.tolist()
    assert stored_array(path, 4, never).tolist() == ARRAY.tolist()


@pytest.mark.parametrize("other", [ARRAY[:3], ARRAY.astype(np.float64), ARRAY.reshape(4, 3, 1)])
def test_an_array_of_another_shape_or_type_is_made_anew(other: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, other)
    with pytest.warns(UserWarning, match="not float32 of 4 rows"):
        assert stored_array(path, 4, made()).tolist() == ARRAY.tolist()


def test_a_file_with_something_behind_the_array_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    stored_array(path, 4, made())
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.warns(UserWarning, match="has 180 bytes, not 176"):
        assert stored_array(path, 4, made()).tolist() == ARRAY.tolist()
    assert path.stat().st_size == 176


def test_nan_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    with pytest.raises(DataError, match=r"features.npy: 1 of 2 rows hold NaN .* nothing was written"):
        stored_array(path, 4, made(np.where(ARRAY == 5, np.nan, ARRAY)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["features.npy.lock"]


def test_nan_in_a_file_raises_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, np.where(ARRAY > 5, np.inf, ARRAY).astype(np.float32))
    with pytest.raises(DataError, match=r"features.npy: 2 of 4 rows hold NaN .* delete it"):
        stored_array(path, 4, never)


def test_what_is_made_must_have_the_rows_that_are_due(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    with pytest.raises(DataError, match=r"4 rows were made where 5 were due"):
        stored_array(path, 5, made())
    with pytest.raises(DataError, match="row 3 was made, and there are 3, from 0"):
        stored_array(path, 3, made())
    with pytest.raises(DataError, match=r"a block of shape \(1, 3\) was made for 2 of 4 rows"):
        stored_array(path, 4, lambda: [(np.array([0, 1]), ARRAY[:1])])
    assert [entry.name for entry in tmp_path.iterdir()] == ["features.npy.lock"]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([[0, 1, 2, 3], [1]], "row 1 was made twice"),
        ([[0, 2, 2, 3], [1]], "row 2 was made twice"),
        ([[0, 1, 2, -1]], "row -1 was made, and there are 4, from 0"),
    ],
)
def test_each_row_is_made_once(blocks: list[list[int]], message: str, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    with pytest.raises(DataError, match=message):
        stored_array(path, 4, lambda: [(np.array(rows), ARRAY[rows]) for rows in blocks])
    assert not path.exists()


def test_what_is_there_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    stored_array(path, 4, made())
    lock = tmp_path / "features.npy.lock"
    lock.unlink()
    lock.mkdir()  # cannot be opened for writing, by nobody
    assert stored_array(path, 4, never).tolist() == ARRAY.tolist()


def test_what_is_not_there_or_not_whole_is_no_kept_array(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    assert kept_array(path, 4) is None
    assert list(tmp_path.iterdir()) == []
    stored_array(path, 4, made())
    found = kept_array(path, 4)
    assert found is not None
    assert found.tolist() == ARRAY.tolist()
    assert kept_array(path, 5) is None
    path.write_bytes(path.read_bytes()[:-1])
    assert kept_array(path, 4) is None


def test_half_precision_takes_half_the_disk_and_rounds(tmp_path: Path) -> None:
    array = (ARRAY + 0.1).astype(np.float32)
    whole, half = (tmp_path / f"{name}.npy" for name in ("whole", "half"))
    exact, rounded = stored_array(whole, 4, made(array)), stored_array(half, 4, made(array), np.float16)
    assert rounded.nbytes * 2 == exact.nbytes
    assert np.abs(rounded - exact).max() == pytest.approx(np.abs(array.astype(np.float16) - array).max())
    with pytest.raises(DataError, match=r"large.npy: 1.11e\+06 lies beyond 65,504.0, the largest float16; .*=float32"):
        stored_array(tmp_path / "large.npy", 4, made(array * 1e5), np.float16)
    with pytest.raises(DataError, match=r"hold NaN .* look at the model that made them"):
        stored_array(tmp_path / "nan.npy", 4, made(np.where(array > 5, np.nan, array)), np.float16)
    with pytest.warns(UserWarning, match="holds float16 of shape"):
        stored_array(half, 4, made(array))


def test_a_disk_without_room_is_said_before_anything_is_kept(tmp_path: Path) -> None:
    """The limit on file size stands for the disk: reserving the space fails, a memory map would end the process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        with pytest.raises(DataError, match=r"cannot write features.npy: no room"):
            stored_array(tmp_path / "features.npy", 4, made())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [entry.name for entry in tmp_path.iterdir()] == ["features.npy.lock"]


def _make_and_count(path: Path, barrier: "multiprocessing.synchronize.Barrier") -> None:
    def make() -> list:
        with (path.parent / "count").open("a") as file:
            file.write("x")
        return made()()

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
