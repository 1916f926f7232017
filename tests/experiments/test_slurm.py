"""hydra/launcher=slurm against a Slurm of a few small programs: what is submitted, and what a preemption does."""

import signal
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.experiments.bench import PATIENCE
from tests.experiments.slurm import install, preempt

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("submitit") is None, reason="needs the extra `slurm` (hydra-submitit-launcher)"),
]
DECIDED = "trainer.precision=32-true"
"""What jobs would decide on their machines is refused."""
EXPECTED = Path(__file__).with_name("expected_sbatch.sh")


@pytest.fixture
def slurm(bench):
    bench.environment.update(install(bench.here / "slurm"))
    return bench.here / "slurm"


def test_an_array_is_submitted_as_expected_and_a_preempted_job_is_queued_again_and_resumes(bench, slurm):
    """The signal reaches parent and child alike; the run counts no failure and goes on from its last checkpoint."""
    (bench.here / "hold").touch()
    command = bench.start("-m", "hydra/launcher=slurm", "seed=0,3", DECIDED, *bench.words())
    first = int(bench.wait_for("slurm/batch-12_0"))
    bench.wait_for("slurm/batch-12_1")
    _wait_until(lambda: sorted(bench.trained()) == ["0 False", "3 False"])
    assert _submitted(bench, slurm) == EXPECTED.read_text()
    # the batch job's Python and the run's
    assert preempt(first, signal.SIGCONT, signal.SIGTERM) == 2
    time.sleep(1.0)
    assert preempt(first, signal.SIGUSR2) == 2
    _wait_until(lambda: sorted(bench.trained()) == ["0 False", "0 True", "3 False"])
    assert (slurm / "scontrol.txt").read_text() == "requeue 12_0\n"
    assert bench.results() == {}
    (bench.here / "hold").unlink()
    out, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0
    assert out.splitlines()[-2] == "2 of 2 runs are done"
    assert {seed: record["attempts"] for seed, record in bench.results().items()} == {0: 1, 3: 1}


def _submitted(bench, slurm: Path) -> str:
    text = (slurm / "submitted.sh").read_text()
    return text.replace(str(bench.here), "HERE").replace(sys.executable, "PYTHON")


def _wait_until(holds) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
