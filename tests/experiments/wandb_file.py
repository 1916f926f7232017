"""Read what W&B wrote into a .wandb file: records in the blocks of LevelDB's log format.

https://github.com/google/leveldb/blob/main/doc/log_format.md; the file begins with 7 bytes of W&B's own.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEAD = 32768, struct.Struct("<IHB")
OWN = 7
FULL, FIRST, MIDDLE, LAST = range(1, 5)


@dataclass(frozen=True)
class WandbFile:
    """The records of one attempt of a run."""

    path: Path

    @cached_property
    def records(self) -> list[Record]:
        """All, in the order of writing."""
        return [Record.FromString(payload) for payload in _payloads(self.path.read_bytes())]

    @property
    def run(self) -> Any:
        """Name, id, group, job type, tags."""
        return next(record.run for record in self.records if record.WhichOneof("record_type") == "run")

    @property
    def history(self) -> list[dict[str, Any]]:
        """What was logged, step by step."""
        return [_items(record.history.item) for record in self.records if record.HasField("history")]

    @property
    def logged(self) -> dict[str, list[Any]]:
        """Values of each logged key."""
        keys = dict.fromkeys(key for row in self.history for key in row)
        return {key: [row[key] for row in self.history if key in row] for key in keys}

    @property
    def config(self) -> dict[str, Any]:
        """The configuration after its last change."""
        found: dict[str, Any] = {}
        for record in self.records:
            for update in [record.config] if record.HasField("config") else [record.run.config]:
                found |= _items(update.update)
        return found

    @property
    def summary(self) -> dict[str, Any]:
        """What was put into the summary."""
        found: dict[str, Any] = {}
        for record in self.records:
            if record.HasField("summary"):
                found |= _items(record.summary.update)
        return found

    @property
    def artifacts(self) -> list[Any]:
        """Those that were logged, or said to be used."""
        return [
            record.request.log_artifact.artifact if record.HasField("request") else record.artifact
            for record in self.records
            if record.HasField("artifact") or record.request.HasField("log_artifact")
        ]

    @property
    def exit_code(self) -> int | None:
        """How the run ended; None where the file has no end."""
        return next((record.exit.exit_code for record in self.records if record.HasField("exit")), None)

    def table(self, key: str) -> dict[str, Any]:
        """Columns and data of a table that was logged."""
        return json.loads((self.path.parent / "files" / self.logged[key][-1]["path"]).read_text(encoding="utf-8"))


def wandb_files(folder: Path) -> list[WandbFile]:
    """Of a run's folder, one for each attempt."""
    return [WandbFile(path) for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))]


def _items(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        *path, last = item.nested_key or [item.key]
        inner = found
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
    return found


def _payloads(content: bytes) -> Iterator[bytes]:
    place, parts = OWN, []
    while place + HEAD.size <= len(content):
        if BLOCK - place % BLOCK < HEAD.size:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = HEAD.unpack_from(content, place)
        if kind == 0:
            return
        place += HEAD.size
        parts.append(content[place : place + length])
        place += length
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []
