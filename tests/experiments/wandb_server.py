"""A server that takes what W&B sends: as much of its GraphQL as `wandb beta sync` needs to end with its mark."""

import gzip
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

BUCKET = {"id": "run", "displayName": "run", "description": "", "config": "{}", "sweepName": None}
PROJECT = {"id": "project", "name": "interestlab", "entity": {"id": "entity", "name": "me"}}
ARTIFACT = {"id": "artifact", "state": "COMMITTED", "artifactSequence": {"latestArtifact": None}}


class Handler(BaseHTTPRequestHandler):
    """Answers, and notes path and time of each request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        if self.path != "/graphql":
            self._reply({})
            return
        asked = json.loads(body)
        name = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"]).group(1)
        self._reply({"data": self._answer(name, asked.get("variables") or {})})

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._reply({})

    def log_message(self, *_):
        """Nothing on the terminal."""

    def _answer(self, name, given):
        if name == "UpsertBucket":
            bucket = BUCKET | {"name": given["name"], "project": PROJECT, "historyLineCount": 0}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateArtifact":
            return {"createArtifact": {"artifact": ARTIFACT}}
        if name == "UseArtifact":
            return {"useArtifact": {"artifact": ARTIFACT}}
        if name == "CreateRunFiles":
            place = f"http://127.0.0.1:{self.server.server_port}/files/"
            files = [{"name": file, "uploadUrl": place + file} for file in given["files"]]
            return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}
        return {}

    def _reply(self, value):
        self.server.requests.append((time.time(), self.path))
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class WandbServer(ThreadingHTTPServer):
    """requests: time (of the clock) and path of each."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []

    @property
    def environment(self) -> dict[str, str]:
        """What lets W&B talk to it."""
        return {"WANDB_BASE_URL": f"http://127.0.0.1:{self.server_port}", "WANDB_API_KEY": "0" * 40}


@contextmanager
def serving() -> Iterator[WandbServer]:
    """A server that serves."""
    with WandbServer() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
