"""Sending runs that were kept: which files, what is left over, and who is ended when a run is gone. W&B's command is
replaced by small programs."""

import subprocess
import sys
import time

import pytest

from experiments.runs.folder import RunFolder
from experiments.tracking import upload
from experiments.upload import main
from tests.experiments.fabricated import write_run


def written(root, run, *attempts):
    """The .wandb files of a run, one for each attempt."""
    files = []
    for attempt in attempts:
        folder = root / run / "wandb" / f"offline-run-{attempt}-{run}"
        folder.mkdir(parents=True)
        files.append(folder / f"run-{run}.wandb")
        files[-1].touch()
    return files


def sender(monkeypatch, program):
    """Let `program`, in Python, take the place of W&B's command; its arguments are the files. Returns the calls."""
    calls = []

    def send(files, live=False):
        calls.append(([file.parent.name for file in files], live))
        return subprocess.Popen([sys.executable, "-c", program, *map(str, files)])

    monkeypatch.setattr(upload, "send", send)
    monkeypatch.setattr("experiments.upload.send", send)
    return calls


SENDS = "import sys; from pathlib import Path; [Path(f + '.synced').touch() for f in sys.argv[1:]]"


def test_what_was_sent_is_not_sent_again(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, "lora-0")
    first, second = written(tmp_path, "lora-0", "20260101", "20260102")
    first.with_name(f"{first.name}.synced").touch()
    calls = sender(monkeypatch, SENDS)
    assert main([str(tmp_path)]) == 0
    assert calls == [(["offline-run-20260102-lora-0"], False)]
    assert upload.is_sent(second)
    assert "2 of 2 files are sent" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    assert len(calls) == 1


def test_what_is_left_is_told_by_exit_status(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    sender(monkeypatch, "")
    assert main([str(tmp_path)]) == 1
    assert "1 were not sent" in capsys.readouterr().err


def test_runs_that_w_and_b_never_saw_are_refused(tmp_path, capsys):
    write_run(tmp_path, "lora-0")
    assert main([str(tmp_path)]) == 1
    assert "W&B wrote nothing for these runs" in capsys.readouterr().err


def test_older_attempts_go_first_and_the_newest_is_followed(tmp_path, monkeypatch):
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260103", "20260101", "20260102")
    calls = sender(monkeypatch, SENDS)
    assert upload.stay_with(RunFolder(tmp_path / "lora-0"))
    assert calls == [
        (["offline-run-20260101-lora-0", "offline-run-20260102-lora-0"], False),
        (["offline-run-20260103-lora-0"], True),
    ]


@pytest.mark.parametrize(("done", "ended"), [(False, True), (True, False)])
def test_a_follower_of_a_killed_run_is_ended_and_one_of_a_whole_run_is_not(tmp_path, monkeypatch, done, ended):
    """A killed run's file has no end, so nothing more can come of it."""
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    if not done:
        (tmp_path / "lora-0" / "result.json").unlink()
    monkeypatch.setattr(upload, "LOOK_SECONDS", 0.05)
    sender(monkeypatch, "import time; time.sleep(1.5)")
    begun = time.monotonic()
    assert not upload.stay_with(RunFolder(tmp_path / "lora-0"), grace=0.1, limit=60)
    assert (time.monotonic() - begun < 1.5) == ended


def test_a_follower_stays_while_the_run_writes(tmp_path, monkeypatch):
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    (tmp_path / "lora-0" / "result.json").unlink()
    monkeypatch.setattr(upload, "LOOK_SECONDS", 0.05)
    sender(monkeypatch, f"import time; time.sleep(1); {SENDS}")
    folder = RunFolder(tmp_path / "lora-0")
    with folder.occupy():
        assert upload.stay_with(folder, grace=0.1, limit=60)
