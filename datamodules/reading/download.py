"""Archives from their owner's site: checked, unpacked beside their place and renamed into it, so never half there.

Pooch keeps the checksum; the transfer itself is ours, because a time limit on single reads (all that requests offers)
never ends a transfer that drips.
"""

import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pooch
import requests
import urllib3

from datamodules.corpus import DataError
from datamodules.storage import atomic_folder

CHUNK = 1 << 16
SLOWEST = 1000.0
"""Bytes per second below which a transfer is given up once it has had `timeout` seconds."""


@dataclass(frozen=True)
class Archive:
    """A zip file at its owner's: its address, SHA-256, and the folder in it that is wanted."""

    url: str
    sha256: str
    inside: str


def fetch_archive(archive: Archive, folder: Path, timeout: float) -> None:
    """Make `folder` from the archive, whole or not at all.

    timeout: seconds that the server may stay silent, and after which it must have sent `SLOWEST` bytes a second.
    Raises `DataError` with the address, what was found, and how to put the files there by hand.
    """
    way_out = f"Try again, or fetch {archive.url} by hand and put its files into {folder}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as temporary:
        packed = temporary / "download.zip"
        try:
            _retrieve(archive, packed, timeout)
            _unpack(packed, archive.inside, temporary)
        except DataError as error:
            raise DataError(f"{archive.url}: {error}. {way_out}") from error
        packed.unlink()


def _retrieve(archive: Archive, target: Path, timeout: float) -> None:
    try:
        pooch.retrieve(
            archive.url,
            known_hash=f"sha256:{archive.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=_downloader(timeout),
        )
    except DataError:
        raise
    except requests.HTTPError as error:
        raise DataError(f"the server refused ({str(error).split(' for url')[0]})") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise DataError(f"the server is too slow: silent for {timeout:g} s") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise DataError(f"the server cannot be reached or broke off ({type(error).__name__})") from error
    except ValueError as error:  # what pooch raises for a checksum, with both of them
        raise DataError(f"wrong checksum, so another file than expected. {error}") from error


def _downloader(timeout: float) -> Callable[[str, str, object], None]:
    def download(url: str, output_file: str, _: object) -> None:
        headers = {"Accept-Encoding": "identity"}  # so that Content-Length counts the bytes that we see
        with requests.get(url, stream=True, timeout=timeout, headers=headers) as response:
            response.raise_for_status()
            received = _save(response.raw, Path(output_file), timeout)
            promised = int(response.headers.get("Content-Length", received))
        if received != promised:
            raise DataError(f"cut short: {received} of {promised} bytes arrived")

    return download


def _save(stream: urllib3.HTTPResponse, target: Path, timeout: float) -> int:
    start, received = time.monotonic(), 0
    stream.enforce_content_length = False  # a short body is ours to report, with both numbers
    with target.open("wb") as file:
        while chunk := stream.read1(CHUNK):
            file.write(chunk)
            received += len(chunk)
            elapsed = time.monotonic() - start
            if elapsed > timeout and received < SLOWEST * elapsed:
                raise DataError(f"the server is too slow: {received} bytes in {elapsed:.1f} s")
    return received


def _unpack(packed: Path, inside: str, target: Path) -> None:
    """Everything below the folder `inside` of the archive. Members that would land elsewhere are refused."""
    try:
        with zipfile.ZipFile(packed) as archive:
            members = [entry for entry in archive.infolist() if PurePosixPath(entry.filename).parts[:1] == (inside,)]
            if not members:
                raise DataError(f"the archive has no folder {inside!r}")
            for entry in members:
                _extract(archive, entry, target)
    except zipfile.BadZipFile as error:
        raise DataError(f"not a zip archive ({error})") from error


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    path = PurePosixPath(entry.filename)
    if ".." in path.parts:
        raise DataError(f"the archive's member {entry.filename!r} leaves its folder")
    place = target.joinpath(*path.parts[1:])
    if entry.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(archive.read(entry))
