"""Downloads against a server of our own on this machine: whole or not at all, and one clear message."""

import hashlib
import io
import re
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datamodules.corpus import DataError
from datamodules.reading.download import Archive, fetch_archive
from datamodules.sources import movielens


def packed(files, folder="toy"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{folder}/{name}", text)
    return buffer.getvalue()


GOOD = packed({"a.txt": "one", "deep/b.txt": "two"})


class Server:
    """Answers by path: /fine/..., /short/..., /silent/..., /drip/..., anything else 404."""

    def __init__(self):
        self.body, self.requests, self.stop = GOOD, 0, threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # the name that http.server calls
                outer.requests += 1
                answer = getattr(outer, self.path.split("/")[1], None)
                if answer is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                answer(self.wfile)

            def log_message(self, *_):
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def fine(self, out):
        out.write(self.body)

    def short(self, out):
        out.write(self.body[: len(self.body) // 2])

    def silent(self, out):
        self.stop.wait()

    def drip(self, out):
        for byte in self.body:
            if self.stop.wait(0.02):
                return
            try:
                out.write(bytes([byte]))
            except ConnectionError:
                return


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stop.set()
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def archive(server, kind, body=GOOD, inside="toy"):
    return Archive(f"{server.url}/{kind}/toy.zip", hashlib.sha256(body).hexdigest(), inside)


def test_an_archive_becomes_a_folder_of_its_files(server, tmp_path):
    fetch_archive(archive(server, "fine"), tmp_path / "data" / "toy", timeout=30.0)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"data/toy/a.txt", "data/toy/deep/b.txt"}
    assert (tmp_path / "data/toy/a.txt").read_text() == "one"


@pytest.mark.parametrize(
    ("kind", "timeout", "message"),
    [
        ("short", 30.0, rf"cut short: {len(GOOD) // 2} of {len(GOOD)} bytes"),
        ("silent", 0.2, r"too slow: silent for 0\.2 s"),
        ("drip", 0.2, r"too slow: (silent|\d+ bytes in \d+\.\d s)"),
        ("absent", 30.0, r"the server refused \(404 Client Error: Not Found\)"),
    ],
)
def test_a_failed_transfer_says_what_and_leaves_nothing(server, tmp_path, kind, timeout, message):
    folder = tmp_path / "toy"
    with pytest.raises(DataError, match=message) as caught:
        fetch_archive(archive(server, kind), folder, timeout)
    assert str(caught.value).startswith(f"{server.url}/{kind}/toy.zip: ")
    assert f"by hand and put its files into {folder}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_shows_both_and_leaves_nothing(server, tmp_path):
    wrong = archive(server, "fine", body=b"another")
    with pytest.raises(DataError, match="wrong checksum") as caught:
        fetch_archive(wrong, tmp_path / "toy", timeout=30.0)
    assert wrong.sha256 in str(caught.value)
    assert hashlib.sha256(GOOD).hexdigest() in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_server_is_said_and_leaves_nothing(server, tmp_path):
    gone = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = gone.server_port
    gone.server_close()
    with pytest.raises(DataError, match=r"cannot be reached or broke off \(ConnectionError\)"):
        fetch_archive(Archive(f"http://127.0.0.1:{port}/toy.zip", "0" * 64, "toy"), tmp_path / "toy", timeout=30.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>moved</html>", "not a zip archive"),
        (packed({"a.txt": "x"}, folder="other"), "the archive has no folder 'toy'"),
        (packed({"../../evil.txt": "x"}), r"member 'toy/../../evil.txt' leaves its folder"),
    ],
)
def test_an_archive_of_another_shape_is_refused_and_leaves_nothing(server, tmp_path, body, message):
    server.body = body
    with pytest.raises(DataError, match=message):
        fetch_archive(archive(server, "fine", body), tmp_path / "toy", timeout=30.0)
    assert list(tmp_path.iterdir()) == []


def movielens_at(server, monkeypatch, tmp_path, kind, sha256=None):
    files = {
        "ratings.csv": "userId,movieId,rating,timestamp\n7,1,4.5,100\n",
        "movies.csv": "movieId,title,genres\n1,Heat,\n",
    }
    server.body = packed(files, "ml-latest-small")
    release = movielens.RELEASES["latest-small"]
    known = replace(release, sha256=sha256 or hashlib.sha256(server.body).hexdigest())
    monkeypatch.setitem(movielens.RELEASES, "latest-small", known)
    return movielens.MovielensSource("latest-small", str(tmp_path), url=f"{server.url}/{kind}", timeout=5.0)


def test_movielens_is_downloaded_once(server, monkeypatch, tmp_path):
    source = movielens_at(server, monkeypatch, tmp_path, "fine")
    assert source.load().interactions["strength"].to_pylist() == [4.5]
    assert source.load().items["title"].to_pylist() == ["Heat"]
    assert server.requests == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ml-latest-small"]


def test_movielens_that_comes_cut_short_leaves_nothing_and_comes_whole_the_next_time(server, monkeypatch, tmp_path):
    with pytest.raises(DataError, match="cut short"):
        movielens_at(server, monkeypatch, tmp_path, "short").load()
    assert list(tmp_path.iterdir()) == []
    assert len(movielens_at(server, monkeypatch, tmp_path, "fine").load().items) == 1


def test_a_folder_that_lacks_a_file_is_not_downloaded_over(server, monkeypatch, tmp_path):
    source = movielens_at(server, monkeypatch, tmp_path, "fine")
    (tmp_path / "ml-latest-small").mkdir()
    (tmp_path / "ml-latest-small" / "ratings.csv").write_text("mine")
    expected = "needs movies.csv, found ratings.csv. Put the files there, or remove the folder"
    with pytest.raises(DataError, match=re.escape(expected)):
        source.files()
    assert server.requests == 0
