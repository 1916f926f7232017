"""Sending runs that were kept: which files, what is left over, and who is ended when a run is gone. W&B's command is
replaced by small programs, but for a file that a kill cut."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from threading import Thread

import pytest

from experiments.runs.folder import RunFolder
from experiments.runs.lifeline import SCHEDULER_SIGNALS
from experiments.tracking import upload
from experiments.tracking.sender import LOST, is_cut, is_sent
from experiments.upload import main
from tests.experiments.bench import PATIENCE
from tests.experiments.fabricated import write_run
from tests.experiments.wandb_server import serving


@pytest.fixture(autouse=True)
def logged_in(monkeypatch):
    """Most of what is sent here goes to small programs."""
    monkeypatch.setattr("experiments.upload.require_login", lambda: None)


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

    def command(files, live=False):
        calls.append(([file.parent.name for file in files], live))
        return [sys.executable, "-c", program, *map(str, files)]

    monkeypatch.setattr("experiments.tracking.sender.command", command)
    monkeypatch.setattr(upload, "LOOK_SECONDS", 0.05)
    return calls


SENDS = "import sys; from pathlib import Path; [Path(f + '.synced').touch() for f in sys.argv[1:]]"
CUTS = """
import sys
from pathlib import Path
for file in sys.argv[1:]:
    said = f'Failed to sync all data from "{Path(file).parent}": the file ends with an incomplete record.'
    print(said, file=sys.stderr)
"""


def test_what_was_sent_is_not_sent_again(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, "lora-0")
    first, second = written(tmp_path, "lora-0", "20260101", "20260102")
    first.with_name(f"{first.name}.synced").touch()
    calls = sender(monkeypatch, SENDS)
    assert main([str(tmp_path)]) == 0
    assert calls == [(["offline-run-20260102-lora-0"], False)]
    assert is_sent(second)
    assert "2 of 2 files are sent" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    assert len(calls) == 1


def test_what_is_left_is_told_by_exit_status(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    sender(monkeypatch, "")
    assert main([str(tmp_path)]) == 1
    assert "1 were not sent" in capsys.readouterr().err


def test_without_a_key_nothing_is_tried_and_one_line_says_so(tmp_path):
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    keyless = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"}
    keyless |= {"HOME": str(tmp_path), "WANDB_BASE_URL": "https://somewhere.example"}  # W&B keeps keys in .netrc
    command = [sys.executable, "-m", "experiments.upload", str(tmp_path)]
    done = subprocess.run(command, env=keyless, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["upload: W&B has no key for https://somewhere.example; say `wandb login`, or set WANDB_API_KEY"],
    )
    assert list((tmp_path / "lora-0").rglob("*.synced")) == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_key_is_known_whatever_mode_runs_are_in(tmp_path, mode):
    """On a cluster where runs are kept offline, WANDB_MODE says so of every process."""
    program = "from experiments.tracking.sender import require_login; require_login()"
    keyed = os.environ | {"WANDB_API_KEY": "0" * 40, "WANDB_MODE": mode, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", program], env=keyed, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


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
    sender(monkeypatch, "import time; time.sleep(1.5)")
    begun = time.monotonic()
    assert not upload.stay_with(RunFolder(tmp_path / "lora-0"), grace=0.1, limit=60)
    assert (time.monotonic() - begun < 1.5) == ended


def test_a_follower_stays_while_the_run_writes(tmp_path, monkeypatch):
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    (tmp_path / "lora-0" / "result.json").unlink()
    sender(monkeypatch, f"import time; time.sleep(1); {SENDS}")
    folder = RunFolder(tmp_path / "lora-0")
    with folder.occupy():
        assert upload.stay_with(folder, grace=0.1, limit=60)


def test_a_file_that_ends_within_a_record_is_sent_once_and_counts_for_as_long_as_it_does_not_grow(
    tmp_path, monkeypatch, capsys
):
    write_run(tmp_path, "lora-0")
    (file,) = written(tmp_path, "lora-0", "20260101")
    calls = sender(monkeypatch, CUTS)
    for _ in range(2):
        assert main([str(tmp_path)]) == 0
        assert "1 of 1 files are sent, 1 of them as far as they go" in capsys.readouterr().out
    assert len(calls) == 1
    file.write_bytes(b"more")
    assert not is_sent(file)


def test_a_cut_file_of_which_the_server_refused_a_part_is_sent_again(tmp_path, monkeypatch):
    write_run(tmp_path, "lora-0")
    (file,) = written(tmp_path, "lora-0", "20260101")
    sender(monkeypatch, f"import sys; print({LOST!r}, file=sys.stderr)\n{CUTS}")
    assert main([str(tmp_path)]) == 1
    assert not is_sent(file)


PROGRAM = """
import sys, wandb
run = wandb.init(project="p", id=sys.argv[2], dir=sys.argv[1], mode="offline")
for step in range(20):
    run.log({"loss": step})
run.finish()
"""


def test_wandb_sends_a_truncated_file_as_far_as_it_goes_and_is_not_asked_again(tmp_path, monkeypatch, capfd):
    """With W&B's own command: it sends what comes before the cut, marks nothing, and ends as if all were well."""
    folder = write_run(tmp_path, "lora-0")
    subprocess.run([sys.executable, "-c", PROGRAM, str(folder), "lora-0"], check=True, capture_output=True)
    (file,) = upload.files_of(folder)
    os.truncate(file, file.stat().st_size - 10)
    with serving() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        assert main([str(tmp_path)]) == 0, capfd.readouterr().err
        assert any(path.endswith("/file_stream") for _, path in server.requests)
        assert is_cut(file)
        assert not file.with_name(f"{file.name}.synced").exists()
        count = len(server.requests)
        assert main([str(tmp_path)]) == 0
        assert len(server.requests) == count


def test_runs_that_are_made_or_sent_now_are_left_out_and_named(tmp_path, monkeypatch, capsys):
    names = ("made-0", "sent-0", "kept-0")
    folders = [RunFolder(write_run(tmp_path, name)) for name in names]
    for name in names:
        written(tmp_path, name, "20260101")
    calls = sender(monkeypatch, SENDS)
    with folders[0].occupy(), folders[1].sending(wait=True):
        assert main([str(tmp_path)]) == 1
    assert calls == [(["offline-run-20260101-kept-0"], False)]
    told = capsys.readouterr()
    assert "1 of 3 files are sent" in told.out
    assert "2 runs were left out, for a process makes or sends them now: made-0, sent-0" in told.err
    assert main([str(tmp_path)]) == 0


def test_a_follower_of_a_killed_attempt_gives_up_once_the_next_one_writes(tmp_path, monkeypatch):
    """Else it would stay for as long as the whole run may take: hours."""
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    sender(monkeypatch, "import time; time.sleep(60)")
    folder, ended = RunFolder(tmp_path / "lora-0"), []
    with folder.occupy():
        first = Thread(target=lambda: ended.append(upload.stay_with(folder, grace=0.2, limit=60)))
        first.start()
        first.join(0.5)
        assert first.is_alive()
        written(tmp_path, "lora-0", "20260102")
        first.join(10)
    assert ended == [False]


@contextmanager
def second_follower(folder, patience):
    """One that began while another process sends the run, which it does until the end."""
    second = Thread(target=partial(upload.stay_with, folder))
    with folder.sending(wait=True):
        second.start()
        second.join(patience)
        yield second
    second.join(10)


def test_of_two_followers_one_sends_at_a_time(tmp_path, monkeypatch):
    """The next attempt's waits for that of the killed one, and then sends what it left."""
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101", "20260102")
    calls = sender(monkeypatch, SENDS)
    with second_follower(RunFolder(tmp_path / "lora-0"), 0.5) as second:
        assert second.is_alive()
        assert calls == []
    assert [names for names, _ in calls] == [["offline-run-20260101-lora-0"], ["offline-run-20260102-lora-0"]]


def test_a_follower_that_waited_leaves_a_run_to_that_of_a_newer_attempt(tmp_path, monkeypatch):
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    calls = sender(monkeypatch, SENDS)
    with second_follower(RunFolder(tmp_path / "lora-0"), 0.3):
        written(tmp_path, "lora-0", "20260102")
    assert calls == []


def test_a_follower_waits_for_the_first_file_but_not_for_ever(tmp_path, monkeypatch):
    write_run(tmp_path, "lora-0")
    sender(monkeypatch, SENDS)
    folder = RunFolder(tmp_path / "lora-0")
    monkeypatch.setattr(upload, "FIRST_SECONDS", 0.2)
    assert not upload.stay_with(folder)
    monkeypatch.setattr(upload, "FIRST_SECONDS", 30.0)
    later = Thread(target=lambda: (time.sleep(0.3), written(tmp_path, "lora-0", "20260101")))
    later.start()
    assert upload.stay_with(folder)
    later.join()


DEAF = """
import signal, sys, time
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_a_follower_of_a_slurm_job_hears_signals_again_and_ends_its_sender(tmp_path, monkeypatch, capfd):
    """A run's block is inherited by all that it starts: SIGTERM would never end W&B's command."""
    write_run(tmp_path, "lora-0")
    written(tmp_path, "lora-0", "20260101")
    (tmp_path / "lora-0" / "result.json").unlink()
    sender(monkeypatch, DEAF)
    monkeypatch.setattr(upload.stay_with, "__defaults__", (0.1, 60.0))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SCHEDULER_SIGNALS)
    try:
        begun = time.monotonic()
        assert main(["--follow", str(tmp_path / "lora-0")]) == 1
        assert time.monotonic() - begun < 30
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert "SIG" not in capfd.readouterr().err
