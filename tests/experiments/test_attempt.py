"""What is done about a run follows from what its folder says."""

import io
import json
import os
import tempfile
import threading
from contextlib import ExitStack

import pytest

from experiments.config.hardware import Gpu
from experiments.config.identity import Circumstances
from experiments.job import run
from experiments.runs import attempt as attempting
from experiments.runs import provenance, waiting
from experiments.runs.attempt import State, _write, attempt, decide
from experiments.runs.folder import RunFolder
from experiments.runs.gpus import leased
from experiments.runs.launch import Lines, _copy
from experiments.runs.plan import Plan, plan_words
from experiments.runs.result import done, failed
from experiments.runs.waiting import Stopped

NOW, OLD = "now", "old"


@pytest.mark.parametrize(
    ("state", "rerun", "action"),
    [
        (State(None, 0, None), None, "resume"),
        (State(None, 0, NOW), None, "resume"),
        (State(None, 0, OLD), None, "resume"),
        (State(None, 0, OLD), "stale", "anew"),
        (State("done", 0, NOW), None, "reuse"),
        (State("done", 0, OLD), None, "reuse"),
        (State("done", 0, OLD), "stale", "anew"),
        (State("done", 0, NOW), "stale", "reuse"),
        (State("done", 0, NOW), "all", "anew"),
        (State("failed", 1, NOW), None, "resume"),
        (State("failed", 1, OLD), None, "restart"),
        (State("failed", 2, NOW), None, "refuse"),
        (State("failed", 2, OLD), None, "refuse"),
        (State("failed", 2, NOW), "all", "anew"),
    ],
)
def test_what_is_done_about_a_run(state, rerun, action):
    assert decide(state, NOW, rerun) == action


def test_a_finished_run_says_which_loggers_learn_nothing_of_it(tmp_path, capsys):
    small = ("datamodule.source.users=30", "datamodule.source.items=40", "datamodule.source.events=8")
    planned = plan_words([*small, "experiment=popularity", f"runs_dir={tmp_path}", "logger=wandb"])
    planned.folder.path.mkdir(parents=True)
    planned.folder.write("result.json", {"status": "done"})
    planned.folder.write("provenance.json", {"source_digest": provenance.source_digest()})
    for told, said in (("csv", ": finished before (not by logger=wandb; rerun=all"), ("wandb", ": finished before\n")):
        planned.folder.write("config.json", {"logger": {told: {"_target_": "some.Logger"}}})
        assert attempt(planned)
        assert said in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "runs" / "some-run-s0-123456789abc")
    made.path.mkdir(parents=True)
    made.write("config.json", {"seed": 0})
    made.write("overrides.json", ["seed=0"])
    made.write("provenance.json", {"source_digest": NOW})
    return made


def test_failures_are_counted_on_disk_and_a_success_after_one_is_the_second_attempt(folder):
    (folder.path / "log.txt").write_text("\n".join(f"line {number}" for number in range(9)))
    first = failed(folder, -9)
    assert State.of(folder) == State("failed", 1, NOW)
    assert first["error"]["type"] == "SIGKILL"
    assert first["error"]["message"].endswith("line 4\nline 5\nline 6\nline 7\nline 8")
    done(folder, {"metrics": {"test/hr@10": 0.5}, "intervals": {}, "cost": {}})
    record = json.loads((folder.path / "result.json").read_text())
    assert (record["status"], record["attempts"], record["overrides"]) == ("done", 2, ["seed=0"])


def test_an_exit_status_without_result_is_a_failure_and_an_exception_is_its_reason(folder):
    assert "exit status 3 without a result" in failed(folder, 3)["error"]["message"]
    folder.write("error.json", {"type": "ValueError", "message": "bad", "traceback": "..."})
    assert failed(folder, 1)["error"]["type"] == "ValueError"
    assert State.of(folder).failures == 2


def test_clearing_leaves_nothing_and_forgetting_checkpoints_keeps_the_count(folder):
    failed(folder, 1)
    (folder.path / "last.ckpt").touch()
    folder.forget_checkpoints()
    assert not (folder.path / "last.ckpt").exists()
    assert State.of(folder).failures == 1
    folder.clear()
    assert list(folder.path.parent.iterdir()) == []


def _plan(folder):
    return Plan(folder, {"seed": 0, "parents": []}, ("seed=0",), {}, Circumstances("data", "32-true", 1))


@pytest.mark.parametrize(("action", "kept"), [("resume", True), ("restart", False)])
def test_a_training_that_begins_anew_is_not_judged_by_the_epochs_of_the_old_one(folder, action, kept):
    failed(folder, 1)
    names = ("last.ckpt", "epochs.json", "progress.json")
    for name in names:
        (folder.path / name).write_text("[]")
    _write(_plan(folder), action, 1)
    assert [(folder.path / name).exists() for name in names] == [kept] * 3
    assert State.of(folder).failures == 1


@pytest.mark.parametrize(
    ("held", "said"),
    [("run", "another process works on this run; waiting for it"), ("gpu", "waiting for a free GPU")],
)
def test_who_watches_a_run_may_end_it_while_it_waits(folder, held, said, tmp_path, monkeypatch, capsys):
    """And it is said once what it waits for, and not that it runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(attempting, "usable_gpus", lambda accelerator: (Gpu("0", "card", (8, 0)),))
    over, ended = threading.Event(), []

    def watched():
        try:
            attempt(_plan(folder), stop=over.is_set)
        except Stopped as stopped:
            ended.append(stopped)

    with ExitStack() as stack:
        stack.enter_context(folder.claim() if held == "run" else leased((Gpu("0", "card", (8, 0)),), 1))
        thread = threading.Thread(target=watched, daemon=True)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        over.set()
        thread.join(5)
        assert len(ended) == 1
    assert capsys.readouterr().out == f"{folder.id}: {said}\n"


def test_a_file_cut_short_reads_as_absent(folder):
    (folder.path / "result.json").write_text('{"status": "do')
    assert State.of(folder) == State(None, 0, NOW)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_log_keeps_lines_and_not_their_drawing(size):
    shown = (
        "\x1b[1mbold\x1b[0m\r\n"
        "\r\x1b[2K 10%\r\x1b[2K 50%\r\x1b[2K100% done\n"  # one line, drawn over
        "epoch 0\nepoch 1\x1b[1A\r\x1b[2Kepoch 2\n"  # two lines, drawn over by going up
        "end"
    )
    written: list[str] = []
    lines = Lines(written.append)
    for start in range(0, len(shown), size):
        lines.add(shown[start : start + size])
    lines.add("\n")
    assert "".join(written) == "bold\n100% done\nepoch 0\nend\n"


def test_the_result_is_there_before_loggers_are_told(folder, monkeypatch):
    """So whatever becomes of them costs no result."""
    found = []
    result = {"metrics": {"test/ndcg@10": 0.5}, "intervals": {}, "cost": {}}

    def train(config, path, keep):
        keep(result)
        found.append(folder.read("result.json"))  # as a logger would see it

    monkeypatch.setattr("experiments.training.train", train)
    assert run(folder) == 0
    (kept,) = found
    assert (kept["status"], kept["metrics"]) == ("done", result["metrics"])


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text):
        raise OSError(5, "Input/output error")


def _copied(screen, log, blocks=40):
    """Whether a child could say more than a pipe holds."""
    reader, writer = os.pipe()
    copier = threading.Thread(target=_copy, args=(reader, screen, log), daemon=True)
    copier.start()
    child = threading.Thread(target=lambda: [os.write(writer, b"x" * 8191 + b"\n") for _ in range(blocks)], daemon=True)
    child.start()
    child.join(5)
    said = not child.is_alive()
    os.close(writer)
    copier.join(5)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)
    return said


def test_a_child_is_read_and_its_log_kept_though_the_screen_went_away(tmp_path):
    closed = io.StringIO()
    closed.close()
    for screen in (Gone(), closed):
        log = tmp_path / f"{type(screen).__name__}.txt"
        assert _copied(screen, log)
        assert [len(line) for line in log.read_text().splitlines()] == [8191] * 40


def test_a_child_is_read_and_shown_though_its_log_cannot_be_written_which_is_said_once(tmp_path):
    full = tmp_path / "log.txt"
    full.symlink_to("/dev/full")
    screen = io.StringIO()
    assert _copied(screen, full)
    shown = screen.getvalue()
    assert shown.count("x") == 40 * 8191 + 1  # and that of log.txt
    assert shown.count("log.txt lacks lines, for it could not be written: [Errno 28] No space left on device") == 1
