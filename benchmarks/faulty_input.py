"""Inputs with one fault each, made in a folder: RecBole's atomic files, and a server that cuts a download short."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USERS, ITEMS = 12, 10
HEADER = "user_id:token\titem_id:token\ttimestamp:float"
PROMISED, SENT = 100_000, 40_000


def interactions() -> list[str]:
    """Lines of a sound log: every user with six events."""
    return [f"u{user}\ti{(user + step) % ITEMS}\t{1000 * user + step}" for user in range(USERS) for step in range(6)]


def items() -> list[str]:
    """Lines of a sound items table."""
    return [f"i{item}\tgarden tool number {item}" for item in range(ITEMS)]


def write_corpus(
    data_dir: Path, name: str, rows: list[str] | None = None, header: str = HEADER, texts: list[str] | None = None
) -> None:
    """NAME.inter and NAME.item in data_dir/NAME."""
    folder = data_dir / name
    folder.mkdir(parents=True)
    (folder / f"{name}.inter").write_text("\n".join([header, *(interactions() if rows is None else rows)]) + "\n")
    table = ["item_id:token\ttitle:token_seq", *(items() if texts is None else texts)]
    (folder / f"{name}.item").write_text("\n".join(table) + "\n")


def write_all(data_dir: Path) -> None:
    """One corpus for each fault, named after it, and a sound one."""
    write_corpus(data_dir, "sound")
    write_corpus(data_dir, "column", header=HEADER.replace("item_id:token", "product:token"))
    write_corpus(data_dir, "time", rows=[*interactions()[:3], "u1\ti3\tyesterday", *interactions()[3:]])
    write_corpus(data_dir, "textless", texts=[*items()[:4], "i4\t", *items()[5:]])
    write_corpus(data_dir, "once", rows=[*interactions(), "lonely\ti3\t5"])
    write_corpus(data_dir, "all_once", rows=[f"u{user}\ti{user % ITEMS}\t5" for user in range(USERS)])
    write_corpus(data_dir, "empty")
    (data_dir / "empty" / "empty.inter").write_text("")


class _CutShort(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(PROMISED))
        self.end_headers()
        self.wfile.write(b"P" * SENT)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the check's output to itself."""


@contextmanager
def cut_short_server() -> Iterator[str]:
    """Address of a server on this machine that promises more than it sends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _CutShort)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
