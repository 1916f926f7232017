"""What would run is said, and nothing runs."""

import subprocess
import sys

import pytest

from experiments.runs.dry_run import Job, _as_whole
from experiments.runs.forecast import Forecast
from experiments.runs.outlook import summary
from experiments.runs.provenance import ROOT
from experiments.runs.read import Run
from experiments.runs.words import own_words, shared_words

WORDS = ("datamodule.source.users=30", "datamodule.source.items=40", "datamodule.source.events=8", "logger=none")


def job(doing="to run", seconds=None, memory=None):
    return Job(("strategy=lora",), "a", doing, Forecast(seconds, memory))


def test_the_summary_adds_up():
    """By hand: 60 + 120 s for two at a time are 90, but the longest takes 120."""
    said = summary([job(seconds=60.0, memory=2**20), job(seconds=120.0, memory=2**21), job("done"), job()], 2)
    assert said.startswith(
        "3 of 4 to run; 1 done; 2 min 00 s, 2 at a time and the processes' start; 2.00 MiB for the largest; "
    )
    assert "1 are like no finished run" in said
    assert summary([job(seconds=60.0), job(seconds=120.0)], 1) == "2 of 2 to run; 3 min 00 s and the processes' start"


def test_jobs_are_told_apart_by_what_they_do_not_share():
    jobs = [("head=dot", "seed=0"), ("head=dot", "seed=1")]
    assert shared_words(jobs) == ("head=dot",)
    assert [own_words(one, shared_words(jobs)) for one in jobs] == ["seed=0", "seed=1"]
    assert shared_words(jobs[:1]) == ()
    assert own_words((), ()) == "(as it stands)"


def test_epochs_of_a_few_steps_are_told_with_their_full_length():
    """By hand: 30 batches are ten times the three that were timed, so that each of two epochs takes 9 s more."""
    cost = {"seconds": 12.0, "epochs": 2, "seconds_per_epoch": 1.0, "batches_per_epoch": 30}
    told = _as_whole(Run("probe", "done", cost=cost), {"seed": 0})
    assert told.cost == cost | {"seconds": 30.0, "seconds_per_epoch": 10.0}
    assert told.config == {"seed": 0}
    with pytest.raises(KeyError, match="batches_per_epoch"):
        _as_whole(Run("probe", "done", cost={"seconds": 12.0, "epochs": 2, "seconds_per_epoch": 1.0}), {})
    assert _as_whole(Run("scorer", "done", cost={"seconds": 3.0}), {}).cost == {"seconds": 3.0}


def train(folder, *words):
    command = [sys.executable, "-m", "experiments.train", *words, *WORDS, f"runs_dir={folder}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder in which popularity was ranked once."""
    folder = tmp_path_factory.mktemp("dry")
    made = train(folder, "experiment=popularity")
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.slow
def test_a_sweep_is_foretold_by_what_ended_and_leaves_nothing(runs):
    told = train(runs, "-m", "experiment=popularity,oracle", "seed=0,1", "dry_run=true")
    assert told.returncode == 0, told.stderr
    assert "3 of 4 to run; 1 done" in told.stdout
    assert "2 are like no finished run" in told.stdout
    assert not (runs / "sweeps").exists()
    assert len(list(runs.glob("*/result.json"))) == 1


@pytest.mark.slow
def test_what_is_not_known_is_measured_and_thrown_away(runs):
    told = train(runs, "experiment=sasrec", "dry_run=measure", "trainer.max_epochs=3")
    assert told.returncode == 0, told.stderr
    assert "a few steps" in told.stdout
    assert "like no finished run" not in told.stdout
    assert len(list(runs.glob("*/result.json"))) == 1
    failing = train(runs, "experiment=sasrec", "dry_run=measure", "interest.heads=3")
    assert "1 fails" in failing.stdout
