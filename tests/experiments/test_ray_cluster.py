"""Jobs on a Ray that somebody else started, elsewhere and with another environment; and what is said of lost jobs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.plugins.hydra_plugins.interestlab import RayLauncher, _settled
from tests.experiments.bench import PATIENCE, TRAIN

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")

TELLING = """
import json
_train = train

def train(config, folder, keep):
    (here / f"environment-{config['seed']}.json").write_text(json.dumps(dict(os.environ)))
    return _train(config, folder, keep)
"""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def cluster(bench, tmp_path):
    """The address of a Ray that was started in another folder and knows nothing of ours. Its processes are the bench's,
    by their home folder, so they end with it."""
    port, *others = _free_ports(3)
    base = Path(tempfile.mkdtemp())  # the names of Ray's sockets may not be long
    words = [f"--port={port}", f"--ray-client-server-port={others[0]}", f"--dashboard-agent-listen-port={others[1]}"]
    words += ["--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={base}"]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *words]
    environment = {"PATH": os.environ["PATH"], "HOME": str(bench.here)}
    with (tmp_path / "ray.txt").open("w") as log:
        head = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE
        while "runtime started" not in (tmp_path / "ray.txt").read_text():
            assert head.poll() is None, (tmp_path / "ray.txt").read_text()
            assert time.monotonic() < end, "Ray never started"
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        head.wait(PATIENCE)
        bench.end()
        shutil.rmtree(base, ignore_errors=True)


@pytest.mark.slow
def test_jobs_on_a_cluster_have_the_commands_folder_modules_and_variables(bench, cluster):
    bench.environment.update({"INTERESTLAB_DATA": "the-data", "HF_HUB_OFFLINE": "1", "HOME": str(bench.here)})
    (bench.here / "stand_in.py").write_text(TRAIN + TELLING)
    ray = ("hydra/launcher=ray", f"hydra.launcher.init.address={cluster}")
    said = ("runs_dir=runs", "name=abroad", "trainer.precision=32-true")
    status, lines, error = bench.train("-m", *ray, "seed=0,1,3", *said)
    assert {seed: record["status"] for seed, record in bench.results().items()} == {0: "done", 1: "failed", 3: "done"}
    assert status == 1
    assert lines[-2] == "2 of 3 runs are done, 1 are not"
    assert lines[-1] == str(bench.here / "runs" / "sweeps" / "abroad.json")
    assert "a job was lost" not in error
    told = json.loads((bench.here / "environment-3.json").read_text())
    assert (told["INTERESTLAB_SWEEP"], told["INTERESTLAB_DATA"], told["HF_HUB_OFFLINE"]) == ("abroad", "the-data", "1")
    assert told["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] == "0"


def test_what_a_person_says_of_the_environment_goes_before_what_is_carried(monkeypatch):
    monkeypatch.setenv("INTERESTLAB_DATA", "here")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    said = {"pip": ["a-package"], "env_vars": {"INTERESTLAB_DATA": "there"}}
    found = RayLauncher(init={"runtime_env": said})._environment()
    assert found["pip"] == ["a-package"]
    assert found["env_vars"].items() >= {"INTERESTLAB_DATA": "there", "HF_HUB_OFFLINE": "1"}.items()
    assert "CUDA_VISIBLE_DEVICES" not in found["env_vars"]


def test_of_a_lost_job_is_said_why(capsys):
    from ray import exceptions

    trace = "\x1b[36mray::_run()\x1b[39m (pid=7)\n  File ...\nModuleNotFoundError: No module named 'x'\n\n"
    raised = exceptions.RayTaskError("_run", trace, ModuleNotFoundError("x"), "ray::_run", 7, "127.0.0.1")
    killed = exceptions.OutOfMemoryError("Task was killed: the node runs low on memory.\nTo adjust that, read on.")
    for error in (raised, killed):

        def get(job, error=error):
            raise error

        assert _settled(SimpleNamespace(get=get, exceptions=exceptions), None).return_value is False
    assert capsys.readouterr().err.splitlines() == [
        "error: a job was lost: ModuleNotFoundError: No module named 'x'",
        "error: a job was lost: Task was killed: the node runs low on memory.",
    ]
