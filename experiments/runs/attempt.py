"""Bring one planned run to its end: reuse what is finished, resume what was interrupted, try a failure once more."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TextIO

from experiments.config.annotation import is_node
from experiments.config.hardware import usable_gpus
from experiments.runs import provenance
from experiments.runs.folder import RunFolder
from experiments.runs.gpus import leased
from experiments.runs.launch import launch, threads_of
from experiments.runs.plan import Plan
from experiments.runs.read import read_run
from experiments.runs.result import failed

ATTEMPTS = 2
"""How often a run may fail before it is left alone. An interruption is not a failure."""

Action = Literal["reuse", "refuse", "resume", "restart", "anew"]
"""reuse the result; refuse a further attempt; resume from the last checkpoint; restart the training but keep the count
of failures; anew: forget the folder."""


@dataclass(frozen=True)
class State:
    """What a run's folder says. begun: the source digest with which it began, None if it never did."""

    status: Literal["done", "failed"] | None
    failures: int
    begun: str | None

    @classmethod
    def of(cls, folder: RunFolder) -> "State":
        """Read it."""
        result = folder.read("result.json")
        status = result.get("status")
        failures = result.get("attempts", 1) if status == "failed" else 0
        return cls(status, failures, folder.read("provenance.json").get("source_digest"))


def decide(state: State, source: str, rerun: str | None) -> Action:
    """What to do about a run, given the digest of today's source and what the user asked to run again."""
    stale = state.begun not in (None, source)
    if rerun == "all" or (rerun == "stale" and stale):
        return "anew"
    if state.status == "done":
        return "reuse"
    if state.status == "failed":
        # a checkpoint of the source that failed must not go into a result of the source that was mended
        return "refuse" if state.failures >= ATTEMPTS else "restart" if stale else "resume"
    return "resume"


def attempt(
    plan: Plan, parallel: int = 1, screen: TextIO | None = None, stop: Callable[[], bool] | None = None
) -> bool:
    """Whether the run is done afterwards. `parallel`: how many jobs of the sweep share this machine.
    screen, stop: see `launch`; stop is asked while it waits too. A run that was stopped can be gone on with, and
    `Stopped` is raised.

    Says on standard output what it does. A second process that wants the same run waits here for the first.
    """
    folder, source = plan.folder, provenance.source_digest()
    with folder.claim(stop):
        with folder.occupy():
            state = State.of(folder)
        action = decide(state, source, plan.config.get("rerun"))
        if action == "reuse":
            stale = " (stale: its source differs; rerun=stale runs it anew)" if state.begun != source else ""
            print(f"{folder.id}: finished before{stale}{_untold(plan)}")
            return True
        if action == "refuse":
            reason = read_run(folder.path).reason
            seen = f"failed {state.failures} times ({reason}), see {folder.path / 'log.txt'}; "
            seen += "once its cause is mended, rerun=all tries this and every other run of the command again"
            print(f"error: {folder.id} {seen}", file=sys.stderr)
            return False
        threads = threads_of(parallel * plan.devices)
        _write(plan, action, threads)
        return _run(plan, threads, screen, stop)


def _untold(plan: Plan) -> str:
    """Loggers that were not there when the run was made; they learn nothing of it."""
    told = plan.folder.read("config.json").get("logger") or {}
    new = [name for name, node in (plan.config.get("logger") or {}).items() if is_node(node) and not told.get(name)]
    return f" (not by logger={','.join(new)}; rerun=all makes it anew with it)" if new else ""


def _write(plan: Plan, action: Action, threads: int) -> None:
    folder = plan.folder
    if action == "anew":
        folder.clear()
    elif action == "restart":
        folder.forget_checkpoints()
    begun = folder.read("provenance.json") if action == "resume" else {}
    record = provenance.record(plan.program, plan.overrides, threads) | plan.record()
    # What two sources made together is a result of neither: it stays marked by the first.
    record |= {key: begun[key] for key in ("source_digest", "commit", "dirty", "started") if key in begun}
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / "error.json").unlink(missing_ok=True)
    if not begun:
        (folder.path / "source.diff").write_text(provenance.difference(), encoding="utf-8")
    folder.write("overrides.json", list(plan.overrides))
    folder.write("config.json", plan.config)
    folder.write("provenance.json", record)


def _run(plan: Plan, threads: int, screen: TextIO | None, stop: Callable[[], bool] | None) -> bool:
    folder = plan.folder
    goes_on = " from its last checkpoint" if (folder.path / "last.ckpt").exists() else ""
    visible = usable_gpus(plan.config.get("trainer", {}).get("accelerator", "auto"))
    with leased(visible, plan.devices, f"{folder.id}: waiting for a free GPU", stop) as gpus:
        print(f"{folder.id}: running{goes_on} in {folder.path}", flush=True)
        status = launch(folder.path, threads, gpus, screen, stop)
    if State.of(folder).status == "done":
        return True
    result = failed(folder, status)
    error = result["error"]
    again = f"attempt {result['attempts']} of {ATTEMPTS}, all of it in {folder.path / 'log.txt'}"
    print(f"error: {folder.id} failed ({again}): {error['type']}: {error['message']}", file=sys.stderr)
    return False
