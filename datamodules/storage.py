"""What is written appears whole or not at all, is written once, and is known by its content.

A temporary lies beside its target as `.NAME.RANDOM.partial/` with two entries: `content`, which is renamed into place
at the end, and `owner`, on which the writer holds a lease. A leftover whose lease is free belongs to nobody alive and
is removed by the next writer of the same target.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from datamodules.corpus import DataError

_BLOCK = 1 << 24
_PARTIAL = ".partial"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Content = TypeVar("Content")


class LeaseTaken(RuntimeError):  # noqa: N818  # a state of affairs that callers expect, not a fault
    """Another living process holds the lease."""


def digest(value: Any) -> str:
    """16 hexadecimal characters of SHA-256 over canonical JSON: keys sorted, a Path as its text, a tuple as a list.

    Raises TypeError for what has no such form (an object, a dataclass) and ValueError for NaN and infinities.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} of type {type(value).__name__} has no canonical form; give its plain content instead")


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lease(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold `path` (created where absent, never removed) against every other process that asks for it.

    The kernel keeps it (flock), so it ends with the process that holds it, however that ends. With `wait` false a
    lease held elsewhere raises `LeaseTaken` at once.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LeaseTaken(f"{path} is held by another running process; wait until that ends, or end it") from None
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also where a forked child still has the descriptor
    finally:
        os.close(descriptor)


def made_once(path: Path, find: Callable[[], Content | None], make: Callable[[], Content]) -> Content:
    """What `find` finds at `path`; where it finds nothing, what `make` gives, which writes it there.

    Of several processes one makes it and the others wait, under a lease beside `path`. What is there needs no lease, so
    that it can be read where nothing can be written.
    """
    found = find()
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lease(path.with_name(f"{path.name}.lock")):
            found = find()  # by another process meanwhile
            found = make() if found is None else found
    return found


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill; at the end it is flushed to the disk and becomes `target`, unless `target` exists by
    then: the writer who came first has won. After an exception nothing stays. A full disk raises `DataError`."""
    with _partial(target) as wrapper, _full_disk_explained(target):
        content = wrapper / "content"
        content.mkdir()
        yield content
        for folder, _, names in os.walk(content):
            for name in names:
                _flush(Path(folder, name))
            _flush(Path(folder))
        _move_unless_there(content, target)
        _flush(target.parent)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write one file, text as UTF-8; whoever reads `path` sees the old content or the new. A full disk raises
    `DataError`."""
    with atomic_file(path) as content:
        content.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A file to write; at the end it is flushed to the disk and takes the place of `path`. After an exception nothing
    stays. A full disk raises `DataError`."""
    with _partial(path) as wrapper, _full_disk_explained(path):
        content = wrapper / "content"
        yield content
        _flush(content)
        content.replace(path)
        _flush(path.parent)


def reserve(path: Path, size: int) -> None:
    """Let the file at `path` grow to `size` bytes that the disk really has. A memory map of a file that the disk cannot
    hold would end the process with a signal. Raises OSError where there is no room."""
    with path.open("ab") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        for start in range(file.tell(), size, _BLOCK):  # macOS has no such call
            file.write(bytes(min(_BLOCK, size - start)))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file. `numpy.save` reports a full disk without its error number, so the bytes go through the file
    object."""
    values = np.ascontiguousarray(array)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
        file.write(values.reshape(-1).view(np.uint8).data)


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with ExitStack() as stack:
        wrapper = _claimed_folder(target, stack)
        try:
            yield wrapper
        finally:
            shutil.rmtree(wrapper, ignore_errors=True)


def _claimed_folder(target: Path, stack: ExitStack) -> Path:
    """A new folder under a lease. Between its making and the lease another writer may take it for abandoned: then
    again."""
    while True:
        wrapper = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_PARTIAL, dir=target.parent))
        with suppress(FileNotFoundError):
            stack.enter_context(lease(wrapper / "owner"))
            if (wrapper / "owner").exists():
                return wrapper


def _remove_abandoned(target: Path) -> None:
    prefix = f".{target.name}."
    for wrapper in target.parent.glob(f".*{_PARTIAL}"):
        if wrapper.name.startswith(prefix):
            with suppress(FileNotFoundError, LeaseTaken), lease(wrapper / "owner", wait=False):
                shutil.rmtree(wrapper, ignore_errors=True)


def abandoned(folder: Path) -> list[Path]:
    """What killed writers left anywhere below a folder."""
    return [wrapper for wrapper in folder.rglob(f".*{_PARTIAL}") if not is_leased(wrapper / "owner")]


def is_leased(path: Path) -> bool:
    """Whether a living process holds a lease. A path that is absent nobody holds, and it stays absent.

    Any number may look at once: they share the lock. For the instant of a look nobody else gets the lease: who waits
    for it waits that long, who does not may be refused.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # also where a forked child still has the descriptor
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _move_unless_there(content: Path, target: Path) -> None:
    try:
        content.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _full_disk_explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # numpy's own writer loses the number and says "... requested and ... written".
        if error.errno not in _FULL and "requested and" not in str(error):
            raise
        free = shutil.disk_usage(target.parent).free
        raise DataError(
            f"cannot write {target.name}: no room ({error.strerror or error}; {free:,} bytes free on this file system) "
            "and nothing half-written stays. Free some space, raise the quota or the limit on file size, or choose "
            "another folder",
            file=target.parent,
        ) from error
