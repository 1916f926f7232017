"""Sweeps by joblib, Ray and submitit give what the basic launcher gives, for real; a failing job is a row alone."""

import json
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.config.check import ConfigError
from experiments.config.hardware import cores
from experiments.plugins.hydra_plugins.interestlab import RayLauncher
from experiments.runs.launch import THREADS
from experiments.runs.launchers import JOBS, jobs_at_a_time, require_decided
from tests.experiments.bench import PATIENCE, Bench

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")),
    "ray": ("ray", ("hydra/launcher=ray", "hydra.launcher.init.num_cpus=2")),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", ("hydra/launcher=submitit_local",)),
}


def _words(name: str) -> tuple[str, ...]:
    package, words = LAUNCHERS[name]
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, an extra")
    return words


@pytest.fixture
def at_home(bench):
    """Ray keeps a token in the home folder."""
    bench.environment["HOME"] = str(bench.here)
    return bench


def _none_left(bench: Bench) -> bool:
    end = time.monotonic() + PATIENCE
    while bench.processes() and time.monotonic() < end:
        time.sleep(0.2)
    return bench.processes() == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LAUNCHERS))
def test_every_launcher_gives_the_same_manifest_and_a_failing_job_leaves_the_others_whole(at_home, name):
    bench = at_home
    status, lines, error = bench.train("-m", *_words(name), "seed=0,1,3")
    assert {seed: record["status"] for seed, record in bench.results().items()} == {0: "done", 1: "failed", 3: "done"}
    assert status == 1
    assert lines[-2] == "2 of 3 runs are done, 1 are not"
    manifest = Path(lines[-1])
    by_launcher = json.loads(manifest.read_text())
    assert "Warning" not in error
    assert _none_left(bench)
    _, lines, _ = bench.train("-m", "seed=0,1,3")
    plain = json.loads(Path(lines[-1]).read_text())
    assert sum("finished before" in line for line in lines) == 2
    assert by_launcher["name"] == plain["name"]
    assert [run["id"] for run in by_launcher["runs"]] == [run["id"] for run in plain["runs"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LAUNCHERS))
def test_real_results_are_those_of_the_basic_launcher(at_home, repository, name):
    bench = at_home
    bench.environment["PYTHONPATH"] = str(repository)
    sweep = ("-m", "seed=0,1", "experiment=popularity", "datamodule.source.users=40", "logger=none")
    found = []
    for folder, launcher in (("basic", ()), (name, _words(name))):
        command = bench.start(*sweep, *launcher, f"runs_dir={bench.here / folder}")
        out, _ = command.communicate(timeout=2 * PATIENCE)
        assert out.splitlines()[-2] == "2 of 2 runs are done"
        records = [json.loads(path.read_text()) for path in sorted((bench.here / folder).glob("*/result.json"))]
        found.append([(record["id"], record["metrics"], record["intervals"]) for record in records])
    assert len(found[0]) == 2
    assert found[0] == found[1]


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_of_rays(at_home):
    bench = at_home
    (bench.here / "hold").touch()
    command = bench.start("-m", *_words("ray"), "seed=0,3", *bench.words())
    bench.wait_for("pid-0")
    command.send_signal(signal.SIGINT)
    _, error = command.communicate(timeout=PATIENCE)
    assert command.returncode == 130
    assert error.splitlines()[-1] == "interrupted; the same command goes on from the last checkpoint"
    assert _none_left(bench)
    assert bench.results() == {}


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_sweep_of_joblibs_leaves_no_process_and_begins_no_further_run(at_home, end):
    bench = at_home
    (bench.here / "hold").touch()
    command = bench.start("-m", *_words("joblib"), "seed=0,3,4,5", *bench.words(), **QUIET)
    limit = time.monotonic() + PATIENCE
    while len(bench.trained()) < 2 and time.monotonic() < limit:
        time.sleep(0.1)
    command.send_signal(end)
    command.wait(PATIENCE)
    limit = time.monotonic() + 10
    while bench.processes() and time.monotonic() < limit:
        time.sleep(0.1)
    left = bench.processes()
    (bench.here / "hold").unlink()
    assert left == {}
    assert sorted(bench.trained()) == ["0 False", "3 False"]


def test_what_is_null_is_rays_to_choose():
    launcher = RayLauncher(
        init=OmegaConf.create({"address": None, "num_cpus": 2}), resources=OmegaConf.create({"num_gpus": None})
    )
    assert (launcher.init, launcher.resources) == ({"num_cpus": 2}, {})


@pytest.mark.slow
def test_jobs_that_submitit_starts_at_once_share_the_cores(bench):
    for name in THREADS:
        bench.environment.pop(name, None)
    status, _, error = bench.train("-m", *_words("submitit_local"), "seed=0,3")
    assert status == 0, error
    threads = [record["provenance"]["threads"] for record in bench.results().values()]
    assert threads == [max(cores() // 2, 1)] * 2


@pytest.mark.parametrize(("launcher", "jobs"), [("LocalLauncher", 6), ("SlurmLauncher", 1)])
def test_submitit_runs_all_jobs_of_a_sweep_on_this_machine_and_slurm_one_of_them_on_each(launcher, jobs, monkeypatch):
    monkeypatch.setenv(JOBS, "6")
    target = f"hydra_plugins.hydra_submitit_launcher.submitit_launcher.{launcher}"
    assert jobs_at_a_time(OmegaConf.create({"_target_": target, "cpus_per_task": None})) == jobs


@pytest.mark.parametrize(("cpus", "each", "jobs"), [(8, 2, 4), (2, 4, 1), (3, 1, 3)])
def test_ray_runs_as_many_jobs_as_its_cpus_allow(cpus, each, jobs):
    launcher = OmegaConf.create({"init": {"num_cpus": cpus}, "resources": {"num_cpus": each}})
    assert jobs_at_a_time(launcher) == jobs


def test_without_ray_one_line_names_the_extra(bench):
    (bench.here / "ray.py").write_text("raise ImportError('none here')\n")
    status, _, error = bench.train("-m", "hydra/launcher=ray", "seed=0")
    assert status == 1
    assert error == 'error: hydra/launcher=ray needs Ray: pip install -e ".[ray]"\n'


SLURM = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
CLUSTER = {"init": {"address": "auto", "num_cpus": None}, "resources": {"num_cpus": 1}}
HERE = [
    {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"},
    {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"},
    CLUSTER | {"init": {"address": None, "num_cpus": 2}},
    CLUSTER | {"init": {"address": "local"}},
]


def _job(**trainer):
    return {"backbone": {"dim": 8}, "trainer": {"precision": "auto", "devices": 1} | trainer}


@pytest.mark.parametrize("launcher", [SLURM, CLUSTER])
@pytest.mark.parametrize(
    ("trainer", "asked", "say"),
    [
        ({}, "trainer.precision=auto", "trainer.precision=bf16-mixed (or 32-true)"),
        ({"precision": "fastest", "accelerator": "cpu"}, "trainer.precision=fastest", "trainer.precision=bf16-mixed"),
        ({"precision": "32-true", "devices": "auto"}, "trainer.devices=auto", "trainer.devices=1"),
        ({"devices": -1}, "trainer.precision=auto, trainer.devices=-1", "(or 32-true) trainer.devices=1"),
    ],
)
def test_what_another_machine_would_decide_otherwise_is_refused_with_the_way_out(launcher, trainer, asked, say):
    """This one names the runs, so it has to know them."""
    decided = _job(precision="bf16-mixed")
    with pytest.raises(ConfigError) as refused:
        require_decided([decided, _job(**trainer)], OmegaConf.create(launcher))
    (fault,) = refused.value.faults
    assert fault.startswith(f"{asked}: depends on the hardware, and ")
    assert f"say it: {say}" in fault or fault.endswith(say)


def test_what_is_decided_or_stays_here_or_trains_nothing_is_let_through(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for launcher in HERE:
        require_decided([_job(devices="auto")], OmegaConf.create(launcher))
    decided = [_job(precision="32-true"), _job(accelerator="cpu", devices="auto"), _job() | {"backbone": None}]
    require_decided(decided, OmegaConf.create(SLURM))
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")  # Ray reads it too
    with pytest.raises(ConfigError, match="Ray at head:6379 runs the jobs on other machines"):
        require_decided([_job()], OmegaConf.create(HERE[2]))


@pytest.mark.slow
def test_a_sweep_whose_runs_cannot_be_named_here_ends_before_it_starts(bench):
    status, _, error = bench.train("-m", "hydra/launcher=ray", "hydra.launcher.init.address=head:6379", "seed=0,1")
    assert status == 1
    assert error.startswith("error: 1 fault in the configuration:\n  trainer.precision=auto: depends on the hardware")
    assert "Traceback" not in error
    assert not (bench.here / "runs" / "sweeps").exists()
