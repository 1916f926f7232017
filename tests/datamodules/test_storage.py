"""What is written is whole or absent, whatever happens to the writer."""

import fcntl
import hashlib
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from datamodules.corpus import DataError
from datamodules.storage import (
    LeaseTaken,
    atomic_folder,
    atomic_write,
    digest,
    digest_file,
    is_leased,
    lease,
    made_once,
    write_array,
)
from tests.datamodules.small_corpus import child, entries, output_of

HOLD = """
import sys
from pathlib import Path
from datamodules.storage import lease
with lease(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
    with open(sys.argv[2], "a") as file:
        file.write("first ")
"""
WAIT = """
import sys
from pathlib import Path
from datamodules.storage import lease
print("asking", flush=True)
with lease(Path(sys.argv[1])), open(sys.argv[2], "a") as file:
    file.write("second")
"""
FILL = """
import os, signal, sys
from pathlib import Path
from datamodules.storage import atomic_folder
with atomic_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("unfinished")
    print("writing", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()
"""
LIMITED = """
import resource, sys
import numpy as np
from pathlib import Path
from datamodules.corpus import DataError
from datamodules.storage import atomic_folder, atomic_write, write_array
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
target, big = Path(sys.argv[1]), np.zeros(50_000)
try:
    if sys.argv[2] == "file":
        atomic_write(target, big.tobytes())
    with atomic_folder(target) as folder:
        (np.save if sys.argv[2] == "numpy" else write_array)(folder / "big.npy", big)
except DataError as error:
    print(error)
"""


def test_a_digest_is_that_of_canonical_json():
    expected = hashlib.sha256('{"a":[1,2.5,null],"é":"x/y"}'.encode()).hexdigest()[:16]
    assert digest({"é": Path("x/y"), "a": (1, 2.5, None)}) == expected


@pytest.mark.parametrize("other", [{"a": 1, "b": "2"}, {"a": "1", "b": 2}, {"a": 2, "b": 1}, {"a": 1}, [1, 2], None])
def test_different_values_have_different_digests(other):
    assert digest(other) != digest({"b": 2, "a": 1})


def test_what_has_no_canonical_form_is_refused():
    @dataclass
    class Record:
        a: int = 1

    with pytest.raises(TypeError, match="Record has no canonical form"):
        digest({"x": Record()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))


def test_the_digest_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert digest_file(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


@pytest.mark.parametrize("dtype", ["int8", "int16", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(0,), (7,), (3, 4)])
def test_an_array_comes_back_as_it_was_written(tmp_path, dtype, shape):
    array = (np.random.default_rng(0).random(shape) * 9).astype(dtype)
    for values in (array, array.T, array[::-1]):
        write_array(tmp_path / "a.npy", values)
        read = np.load(tmp_path / "a.npy")
        assert read.dtype == values.dtype
        np.testing.assert_array_equal(read, values)


def test_a_folder_appears_at_the_end_and_as_a_whole(tmp_path):
    target = tmp_path / "new" / "target"
    with atomic_folder(target) as folder:
        (folder / "a").write_text("1")
        (folder / "inner").mkdir()
        (folder / "inner" / "b").write_text("2")
        assert not target.exists()
    assert (target / "inner" / "b").read_text() == "2"
    assert entries(tmp_path / "new") == ["target"]


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(KeyError, match="interrupted"), atomic_folder(tmp_path / "target") as folder:  # noqa: PT012
        (folder / "a").write_text("1")
        raise KeyError("interrupted")
    assert entries(tmp_path) == []


def test_the_writer_who_came_first_wins(tmp_path):
    target = tmp_path / "target"
    with atomic_folder(target) as slow:
        (slow / "by").write_text("slow")
        with atomic_folder(target) as quick:
            (quick / "by").write_text("quick")
    assert (target / "by").read_text() == "quick"
    assert entries(tmp_path) == ["target"]


def test_a_killed_writer_leaves_no_target_and_the_next_one_cleans_up(tmp_path):
    target = tmp_path / "target"
    process = child(FILL, target, "die")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not target.exists()
    assert len(entries(tmp_path)) == 1  # the leftover
    with atomic_folder(target) as folder:
        (folder / "whole").write_text("")
    assert entries(tmp_path) == ["target"]
    assert entries(target) == ["whole"]


def test_a_living_writer_is_not_taken_for_a_dead_one(tmp_path):
    target = tmp_path / "target"
    process = child(FILL, target, "live")
    assert process.stdout.readline() == "writing\n"
    with atomic_folder(target) as folder:
        (folder / "mine").write_text("")
    assert len(entries(tmp_path)) == 2
    process.communicate("\n")
    assert process.returncode == 0
    assert entries(tmp_path) == ["target"]
    assert entries(target) == ["mine"]


def test_a_file_is_replaced_as_a_whole(tmp_path):
    atomic_write(tmp_path / "file", "old")
    atomic_write(tmp_path / "file", "新")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "新"
    assert entries(tmp_path) == ["file"]


@pytest.mark.parametrize("writer", ["ours", "numpy"])
def test_a_limit_on_file_size_is_reported_and_nothing_stays(tmp_path, writer):
    message = output_of(LIMITED, tmp_path / "target", writer)
    assert message.startswith(f"{tmp_path}: cannot write target: no room (")
    assert "bytes free on this file system" in message
    assert entries(tmp_path) == []


def test_a_file_that_finds_no_room_keeps_its_old_content(tmp_path):
    (tmp_path / "target").write_text("old")
    assert "no room (File too large" in output_of(LIMITED, tmp_path / "target", "file")
    assert (tmp_path / "target").read_text() == "old"
    assert entries(tmp_path) == ["target"]


def test_a_full_device_is_reported_and_nothing_stays(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs the device /dev/full, which this system lacks")
    with pytest.raises(DataError, match="no room \\(No space"), atomic_folder(tmp_path / "x") as folder:  # noqa: PT012
        (folder / "big").symlink_to(full)
        (folder / "big").write_text("x" * 100_000)
    assert entries(tmp_path) == []


def test_other_faults_of_the_system_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "x") as folder:
        (folder / "absent").read_text()
    assert entries(tmp_path) == []


def test_a_lease_held_elsewhere_is_refused_at_once(tmp_path):
    process = child(HOLD, tmp_path / "lease", tmp_path / "order")
    assert process.stdout.readline() == "held\n"
    with pytest.raises(LeaseTaken, match="held by another running process"), lease(tmp_path / "lease", wait=False):
        pass
    process.communicate("\n")
    with lease(tmp_path / "lease", wait=False):
        pass


def test_a_lease_is_waited_for(tmp_path):
    first = child(HOLD, tmp_path / "lease", tmp_path / "order")
    assert first.stdout.readline() == "held\n"
    second = child(WAIT, tmp_path / "lease", tmp_path / "order")
    assert second.stdout.readline() == "asking\n"
    first.communicate("\n")
    second.communicate()
    assert (tmp_path / "order").read_text() == "first second"


def test_a_killed_holder_frees_its_lease(tmp_path):
    process = child(HOLD, tmp_path / "lease", tmp_path / "order")
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.communicate()
    with lease(tmp_path / "lease", wait=False):
        assert not (tmp_path / "order").exists()


def test_a_lease_ends_with_its_block_even_after_an_exception(tmp_path):
    with pytest.raises(KeyError), lease(tmp_path / "lease"):
        raise KeyError
    with lease(tmp_path / "lease", wait=False):
        pass


def test_a_look_tells_whether_somebody_holds_a_lease_and_leaves_it_free(tmp_path):
    assert not is_leased(tmp_path / "lease")
    assert list(tmp_path.iterdir()) == []
    with lease(tmp_path / "lease"):
        assert is_leased(tmp_path / "lease")
    assert not is_leased(tmp_path / "lease")
    with lease(tmp_path / "lease", wait=False):
        pass


def test_two_who_look_at_once_do_not_see_each_other(tmp_path, monkeypatch):
    lock, seen = fcntl.flock, []

    def looked_at(descriptor, how):
        """A second look while the first one has what it asked for."""
        lock(descriptor, how)
        if not seen:
            seen.append(None)
            seen[0] = is_leased(tmp_path / "lease")

    (tmp_path / "lease").touch()
    monkeypatch.setattr(fcntl, "flock", looked_at)
    assert not is_leased(tmp_path / "lease")
    assert seen == [False]


def test_what_another_process_made_while_its_lease_was_waited_for_is_taken(tmp_path):
    answers = iter([None, "theirs"])
    assert made_once(tmp_path / "deep" / "it", lambda: next(answers), lambda: pytest.fail("made twice")) == "theirs"
    assert made_once(tmp_path / "deep" / "it", lambda: None, lambda: "ours") == "ours"


def test_what_is_there_is_read_without_a_lease(tmp_path):
    assert made_once(tmp_path / "deep" / "it", lambda: 0, lambda: pytest.fail("made twice")) == 0
    assert list(tmp_path.iterdir()) == []
