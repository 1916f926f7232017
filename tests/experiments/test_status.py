"""How far a sweep is, read from its folders."""

import json

import pytest

from datamodules.storage import lease
from experiments.runs.folder import RunFolder
from experiments.runs.provenance import source_digest
from experiments.runs.read import read_sweep
from experiments.runs.standing import jobs_of, time_left
from experiments.status import OPEN, main
from tests.experiments.fabricated import write_failed, write_json, write_run, write_sweep


def begin(root, name, **progress):
    folder = root / name
    folder.mkdir()
    write_json(folder / "config.json", {"seed": 0})
    if progress:
        write_json(folder / "progress.json", progress)
    return folder


@pytest.fixture
def sweep(tmp_path):
    """A job in each standing; lora took 100 s."""
    write_run(tmp_path, "done", cost={"seconds": 100.0})
    write_run(tmp_path, "stale", provenance={"source_digest": "old"}, cost={"seconds": 100.0})
    begin(tmp_path, "running", step=30, steps=40, first=20, seconds=50.0)
    begin(tmp_path, "interrupted", step=10, steps=40, first=0, seconds=5.0)
    write_failed(tmp_path, "failed")
    jobs = [(name, ["strategy=lora", f"seed={seed}"]) for seed, name in enumerate(("done", "stale", "running"))]
    jobs += [("interrupted", ["strategy=lora", "seed=3"]), ("failed", ["strategy=lora", "seed=4"])]
    jobs += [("never", ["strategy=lora", "seed=5"]), (None, ["strategy=lora", "seed=6"], "DataError: no such file")]
    (tmp_path / ".leases").mkdir()
    return write_sweep(tmp_path, "mixed", jobs)


@pytest.fixture
def runs(sweep):
    with lease(sweep.parent.parent / ".leases" / "running.child"):
        yield read_sweep(sweep).runs


def test_each_standing_is_told_from_the_others(runs):
    standings = [job.standing for job in jobs_of(runs, source_digest())]
    assert standings == ["done", "stale", "running", "interrupted", "failed", "missing", "missing"]


def test_what_is_left_goes_on_at_the_pace_so_far_or_takes_what_its_like_took(runs):
    """By hand: 10 steps in 50 s, and 10 are left, so 50 s; the interrupted and the missing job as lora, 100 s,
    and so the one that failed once, which is tried again; what failed twice or cannot be planned is not waited for."""
    jobs = jobs_of(runs, source_digest())
    assert [job.left for job in jobs] == [0, 0, 50, 100, 100, 100, 0]
    assert [job.share for job in jobs if job.share is not None] == [0.75, 0.25]
    assert time_left(jobs) == 350
    failed = next(run for run in runs if run.status == "failed")
    record = json.loads((failed.folder / "result.json").read_text())
    (failed.folder / "result.json").write_text(json.dumps(record | {"attempts": 2}))
    assert time_left(jobs_of(runs, source_digest())) == 250


def test_a_job_like_none_that_ended_leaves_the_time_open(tmp_path):
    write_run(tmp_path, "done", cost={"seconds": 100.0})
    path = write_sweep(tmp_path, "two", [("done", ["strategy=lora"]), ("never", ["strategy=full"])])
    jobs = jobs_of(read_sweep(path).runs, source_digest())
    assert jobs[1].left is None
    assert time_left(jobs) is None


def test_two_at_a_time_halve_what_is_left_but_no_job_ends_before_itself(tmp_path):
    for name in ("a", "b"):
        begin(tmp_path, name, step=10, steps=40, first=0, seconds=100.0 if name == "a" else 10.0)
    (tmp_path / ".leases").mkdir()
    path = write_sweep(tmp_path, "two", [("a", []), ("b", [])])
    with lease(tmp_path / ".leases" / "a.child"), lease(tmp_path / ".leases" / "b.child"):
        jobs = jobs_of(read_sweep(path).runs, source_digest())
    assert [job.left for job in jobs] == [300, 30]
    assert time_left(jobs) == 300


def test_the_program_names_jobs_and_says_by_its_status_whether_all_are_done(sweep, capsys):
    assert main([str(sweep)]) == OPEN
    said = capsys.readouterr().out
    assert "strategy=lora" in said.splitlines()[0]  # what all share stands once
    assert "OutOfMemoryError: CUDA out of memory" in said
    assert "1 done, 1 stale, 2 interrupted, 1 failed, 2 missing; 6 min 40 s left at the most" in said
    assert main([str(sweep.parent.parent)]) == OPEN
    assert "mixed" in capsys.readouterr().out
    write_sweep(sweep.parent.parent, "whole", [("done", []), ("stale", [])])
    assert main([str(sweep.with_name("whole.json"))]) == 0


def test_a_manifest_that_cannot_be_read_takes_a_line_and_the_others_are_told_of(sweep, capsys):
    write_sweep(sweep.parent.parent, "whole", [("done", [])])
    sweep.write_text("{")
    assert main([str(sweep.parent)]) == OPEN
    said = capsys.readouterr()
    assert "whole" in said.out
    (line,) = said.err.splitlines()
    assert line.startswith(f"status: {sweep}, line 1: damaged JSON")
    assert main([str(sweep)]) == 1


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert main([str(tmp_path / "elsewhere")]) == 1
    assert capsys.readouterr().err == f"status: {tmp_path / 'elsewhere'}: no such file or folder\n"


def test_a_folder_without_sweeps_is_refused(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "holds no sweep's manifest" in capsys.readouterr().err


def test_what_a_callback_writes_is_what_is_read(tmp_path):
    """The words of the file are agreed upon in two floors."""
    from lightning_modules.callbacks.progress_file import FILE, ProgressFile
    from tests.lightning_modules.small_model import lightning_module, small_data, small_model, trainer

    data = small_data(tmp_path)
    trainer(ProgressFile(tmp_path, seconds=0.0), max_epochs=2).fit(lightning_module(data, small_model(data)), data)
    record = json.loads((tmp_path / FILE).read_text())
    assert (record["epoch"], record["epochs"], record["first"]) == (2, 2, 0)
    assert record["step"] == record["steps"] == 2 * data.steps_per_epoch()
    assert record["seconds"] > 0


def test_what_a_process_has_and_no_gpu_is_free_for_waits_and_is_not_interrupted(tmp_path, capsys):
    """Also what failed once and is tried again. It takes no worker's place: one runs, two wait."""
    write_run(tmp_path, "done", cost={"seconds": 100.0})
    begin(tmp_path, "begun")
    begin(tmp_path, "runs")
    write_failed(tmp_path, "again")
    path = write_sweep(tmp_path, "four", [(name, ["strategy=lora"]) for name in ("done", "begun", "runs", "again")])
    claims = [RunFolder(tmp_path / name).claim() for name in ("begun", "runs", "again")]
    with claims[0], claims[1], claims[2], RunFolder(tmp_path / "runs").occupy():
        jobs = jobs_of(read_sweep(path).runs, source_digest())
        assert main([str(path)]) == OPEN
    assert [job.standing for job in jobs] == ["done", "waiting", "running", "waiting"]
    assert time_left(jobs) == 300
    assert "1 done, 1 running, 2 waiting; " in capsys.readouterr().out
    assert [job.standing for job in jobs_of(read_sweep(path).runs, source_digest())][1] == "interrupted"
