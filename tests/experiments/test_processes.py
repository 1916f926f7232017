"""Runs as processes, for real: finished, raised, killed, resumed, side by side, on a terminal. Training is faked."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.reproduction import runs as making
from experiments.reproduction.runs import ProgramError
from tests.experiments.bench import PATIENCE
from tests.experiments.fabricated import write_sweep


def _gone(pid: int) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_run_is_made_once_and_the_last_line_is_its_folder(bench):
    status, lines, _ = bench.train()
    folder = Path(lines[-1])
    assert status == 0
    assert folder.parent == bench.here / "runs"
    record = json.loads((folder / "result.json").read_text())
    assert (record["id"], record["status"], record["attempts"]) == (folder.name, "done", 1)
    assert record["metrics"] == {"test/hr@10": 0.25}
    assert record["provenance"]["precision"] in ("32-true", "bf16-mixed")
    assert record["provenance"]["world_size"] == 1
    assert "experiment=sasrec" in record["overrides"]
    assert "seed 0 in a terminal: False" in (folder / "log.txt").read_text()
    status, lines, _ = bench.train()
    assert (status, lines) == (0, [f"{folder.name}: finished before", str(folder)])
    assert bench.trained() == ["0 False"]


def test_the_parent_never_imports_torch(bench):
    bench.train()
    imported = (bench.here / "imported.txt").read_text().splitlines()
    assert len(imported) > 100
    assert {
        name for name in imported if name.partition(".")[0] in ("torch", "transformers", "pytorch_lightning")
    } == set()


@pytest.mark.slow
def test_a_job_that_raises_is_a_row_the_others_are_whole_and_it_gets_a_second_attempt_but_no_third(bench):
    sweep = ("-m", "seed=0,1,2,3")
    status, lines, _ = bench.train(*sweep)
    results = bench.results()
    assert status == 1
    assert {seed: record["status"] for seed, record in results.items()} == {
        0: "done",
        1: "failed",
        2: "failed",
        3: "done",
    }
    assert results[1]["error"]["message"] == "seed 1 never works"
    assert "raise RuntimeError" in results[1]["error"]["traceback"]
    assert results[2]["error"]["type"] == "SIGKILL"
    assert "seed 2 in a terminal" in results[2]["error"]["message"]
    manifest = json.loads(Path(lines[-1]).read_text())
    assert [run["id"] for run in manifest["runs"]] == [results[seed]["id"] for seed in range(4)]
    assert manifest["runs"][3]["overrides"][0] == "seed=3"
    bench.train(*reversed(sweep))  # -m may stand behind the settings
    _, _, said = bench.train(*sweep)
    assert [record["attempts"] for record in bench.results().values() if record["status"] == "failed"] == [2, 2]
    assert said.count("failed 2 times") == 2
    assert "failed 2 times (RuntimeError: seed 1 never works)" in said
    assert sorted(bench.trained()) == ["0 False", "1 False", "1 True", "2 False", "2 True", "3 False"]


@pytest.mark.slow
def test_a_sweep_by_the_name_of_another_one_says_so(bench):
    errors = [bench.train("-m", seeds, "name=mine")[2] for seeds in ("seed=0", "seed=0,3", "seed=3")]
    assert errors[:2] == ["", ""]
    assert "mine.json named 1 jobs that this sweep has not, such as seed=0 " in errors[2]


@pytest.mark.slow
def test_rerun_all_forgets_everything(bench):
    bench.train("seed=1")
    status, _, _ = bench.train("seed=1", "rerun=all")
    assert status == 1
    assert bench.results()[1]["attempts"] == 1
    assert bench.trained() == ["1 False", "1 False"]


def test_a_killed_parent_takes_its_child_and_its_ranks_along_and_the_run_resumes(bench):
    (bench.here / "hold").touch()
    (bench.here / "ranks").touch()
    parent = bench.start(*bench.words())
    pids = [int(bench.wait_for("pid-0")), int(bench.wait_for("pid-1"))]
    parent.kill()
    parent.communicate(timeout=PATIENCE)
    assert [_gone(pid) for pid in pids] == [True, True]
    assert bench.results() == {}
    for name in ("hold", "ranks"):
        (bench.here / name).unlink()
    status, _, _ = bench.train()
    assert status == 0
    assert bench.results()[0]["attempts"] == 1
    assert bench.trained() == ["0 False", "0 True", "0 True"]


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_reproduction_takes_its_sweeps_along(bench, end):
    (bench.here / "hold").touch()
    place = (f"runs_dir={bench.here / 'runs'}", f"cache_dir={bench.here.parent / 'cache'}")
    table = bench.start("table=strategies_ml100k", "scale=smoke", *place, module="reproduce")
    pid = int(bench.wait_for("pid-0"))
    between = set(bench.processes()) - {pid, table.pid}
    table.send_signal(end)
    table.communicate(timeout=PATIENCE)
    assert between != set()
    assert [_gone(process) for process in (pid, *between)] == [True] * (1 + len(between))


def test_a_sweep_that_died_is_told_with_its_reason_and_one_with_a_failed_job_has_its_manifest(tmp_path, monkeypatch):
    done = subprocess.CompletedProcess([], 1, "1 job planned\n", "DiskError: it is full\n")
    monkeypatch.setattr(making, "_train", lambda *words, **how: done)
    with pytest.raises(ProgramError, match="exit status 1\n1 job planned\nDiskError: it is full"):
        making.call(["-m"], 1)
    manifest = write_sweep(tmp_path, "one", [])
    done.stdout = f"1 of 2 runs are done, 1 are not\n{manifest}\n"
    assert making.call(["-m"], 1) == str(manifest)
    with pytest.raises(ProgramError):
        making.call(["-m"], 1, must=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "tune", "reproduce"])
def test_a_killed_check_takes_along_what_it_started(bench, repository, name):
    (bench.here / "hold").touch()
    place = [f"runs_dir={bench.here / 'runs'}", f"cache_dir={bench.here.parent / 'cache'}"]
    words = {
        "train": [*bench.words(), place[0]],
        "tune": [
            *bench.words(),
            "optimizer.lr=choice(0.1,0.2)",
            "--trials",
            "2",
            "--runs-dir",
            str(bench.here / "runs"),
        ],
        "reproduce": ["table=strategies_ml100k", "scale=smoke", *place],
    }
    program = f"from benchmarks.checking import run; run('experiments.{name}', {words[name]})"
    check = subprocess.Popen([sys.executable, "-c", program], env=bench.environment, cwd=repository)
    pid = int(bench.wait_for("pid-0"))
    between = set(bench.processes()) - {pid, check.pid}
    check.terminate()
    check.wait(PATIENCE)
    assert between != set()
    assert [_gone(process) for process in (pid, *between)] == [True] * (1 + len(between))


@pytest.mark.slow
def test_ctrl_c_on_the_demo_lets_its_sweep_end_in_order(bench):
    (bench.here / "hold").touch()
    place = (f"runs_dir={bench.here / 'runs'}", f"cache_dir={bench.here.parent / 'cache'}")
    demo = bench.start(*place, module="demo", start_new_session=True)
    pid = int(bench.wait_for("pid-0"))
    os.killpg(demo.pid, signal.SIGINT)
    _, error = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, "Traceback" in error) == (130, False)
    assert error.splitlines()[-1] == "interrupted; the same command goes on from the last checkpoint"
    assert _gone(pid)


def test_an_interrupted_parent_ends_its_child_first_and_counts_no_failure(bench):
    (bench.here / "hold").touch()
    parent = bench.start(*bench.words())
    pid = int(bench.wait_for("pid-0"))
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=PATIENCE)
    assert parent.returncode != 0
    assert _gone(pid)
    assert bench.results() == {}


def test_two_that_want_the_same_run_make_it_once(bench):
    (bench.here / "hold").touch()
    first = bench.start(*bench.words())
    bench.wait_for("pid-0")
    second = bench.start(*bench.words())
    (bench.here / "hold").unlink()
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "finished before" in outputs[1]
    assert bench.trained() == ["0 False"]


def test_a_rank_leaves_the_result_to_the_first(bench):
    _, lines, _ = bench.train()
    folder = Path(lines[-1])
    (folder / "result.json").unlink()
    bench.environment["LOCAL_RANK"] = "1"
    job = bench.start(str(folder), module="job")
    job.communicate(timeout=PATIENCE)
    assert job.returncode == 0
    assert not (folder / "result.json").exists()


def test_words_that_do_not_compose_end_a_sweep_before_it_starts_and_all_are_named(bench):
    status, _, error = bench.train("-m", "head=dot,grahp,dto", "seed=0")
    assert status == 1
    assert "did you mean 'graph'?" in error
    assert "did you mean 'dot'?" in error
    assert bench.trained() == []


def test_faults_of_a_configuration_are_one_message_without_a_traceback(bench):
    status, _, error = bench.train("optimizer.lr=fast", "+head.tua=1")
    assert status == 1
    assert error.startswith("error: 2 faults in the configuration:\n")
    assert "Traceback" not in error


def test_a_choice_and_a_sweep_from_outside_the_repository(bench):
    """A part of one's own needs a Python file, a YAML, and no line changed here."""
    (bench.here / "own_parts.py").write_text(
        "class OwnHead:\n    def __init__(self, dim: int, sharp: float = 2.0): ...\n"
    )
    for group in ("head", "sweep"):
        (bench.here / "conf" / group).mkdir(parents=True)
    (bench.here / "conf/head/own.yaml").write_text("_target_: own_parts.OwnHead\n")
    sweep = "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      +head.sharp: 3.0,4.0\n"
    (bench.here / "conf/sweep/own.yaml").write_text(sweep)
    status, lines, error = bench.train(f"hydra.searchpath=[file://{bench.here}/conf]", "sweep=own", "head=own")
    assert (status, error) == (0, "")
    assert lines[-2] == "2 of 2 runs are done"
    runs = json.loads(Path(lines[-1]).read_text())["runs"]
    assert all(run["id"].startswith("simulator-item_id-full-own-s0-") for run in runs)


def test_under_a_terminal_the_child_has_one_too(bench):
    screen, end = pty.openpty()
    process = bench.start(*bench.words(), stdout=end, stderr=end, text=False)
    os.close(end)
    shown = b""
    while block := _read(screen):
        shown += block
    os.close(screen)
    assert process.wait(PATIENCE) == 0
    assert b"seed 0 in a terminal: True" in shown
    assert "seed 0 in a terminal: True\n" in next((bench.here / "runs").glob("*/log.txt")).read_text()


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 4096)
    except OSError:  # the other end was closed
        return b""
