"""The record of a run, result.json: written once a run is done, or by the parent once an attempt has failed."""

import signal
from typing import Any

from experiments.runs import provenance
from experiments.runs.folder import RunFolder

TAIL = 5
"""Lines of the log that a failure without an exception shows."""


def done(folder: RunFolder, outcome: dict[str, Any]) -> None:
    """Write the result, once all other files of the run are there. outcome: metrics, intervals and cost, as
    `experiments.training.train` returns them."""
    folder.write("result.json", _record(folder, "done") | outcome)


def failed(folder: RunFolder, status: int) -> dict[str, Any]:
    """Write and return the record of an attempt without a result. status: the child's, negative for a signal."""
    nothing: dict[str, Any] = {"metrics": {}, "intervals": {}, "cost": {}}
    result = _record(folder, "failed") | nothing | {"error": folder.read("error.json") or _ended(folder, status)}
    folder.write("result.json", result)
    return result


def _record(folder: RunFolder, status: str) -> dict[str, Any]:
    before = folder.read("result.json")
    return {
        "id": folder.id,
        "status": status,
        "attempts": before.get("attempts", 0) + 1,
        "overrides": folder.read("overrides.json"),
        "config": folder.read("config.json"),
        "provenance": folder.read("provenance.json") | {"finished": provenance.now()},
    }


def _ended(folder: RunFolder, status: int) -> dict[str, str]:
    """What can be said where no exception was left behind."""
    if status < 0:
        name = signal.Signals(-status).name
        reason = "; the kernel kills so when memory runs out" if name == "SIGKILL" else ""
        kind, message = name, f"ended by signal {-status}{reason}"
    else:
        kind, message = "ExitStatus", f"exit status {status} without a result"
    return {"type": kind, "message": f"{message}. The log ends:\n{_tail(folder)}", "traceback": ""}


def _tail(folder: RunFolder) -> str:
    path = folder.path / "log.txt"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-TAIL:])
