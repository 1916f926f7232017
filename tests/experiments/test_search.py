"""Trials of a search: each counts once, none is lost to an interrupt or to another one's fault, the best is written."""

import json
import math
import os
import shlex
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from experiments.config.check import ConfigError
from experiments.runs.plan import plan_words
from experiments.runs.read import Run, read_run
from experiments.runs.waiting import Stopped
from experiments.tune import write_best
from experiments.tuning import search as searching
from experiments.tuning import trial as trials
from experiments.tuning.recipe import recipe, require_same
from experiments.tuning.search import search
from experiments.tuning.space import space_of
from experiments.tuning.study import Asked, Study
from tests.experiments.bench import PATIENCE
from tests.experiments.fabricated import write_run

WORDS = ("head.temperature=interval(0.05,0.5)", "seed=range(0,1000)")


def study(folder, words=WORDS, **changes):
    space = space_of([*words, f"runs_dir={folder}"])
    asked = {"words": (), "space": space.texts, "objectives": ("test/ndcg@10",), "sampler": "random", "seed": 0}
    return Study(folder / "studies" / "some", space, Asked(**asked | {"pruning": False} | changes))


@pytest.fixture
def fake(monkeypatch):
    """Runs whose number is their seed's, made by `fake.run(folder, stop)` in the place of a training."""

    def plan_of(made, trial):
        one = SimpleNamespace(id=f"run-{trial.number}", path=made.runs_dir / f"run-{trial.number}")
        trial.set_user_attr("run", one.id)
        return SimpleNamespace(folder=one, seed=trial.params.get("seed", 0))

    def finished(plan, stop):
        if not plan.folder.path.exists():
            write_run(plan.folder.path.parent, plan.folder.id, [plan.seed / 1000] * 2)
        return True

    hand = SimpleNamespace(run=finished, finished=finished)
    monkeypatch.setattr(searching, "plan_of", plan_of)
    monkeypatch.setattr(trials, "attempt", lambda plan, parallel, screen, stop: hand.run(plan, stop))
    return hand


@pytest.mark.parametrize("looks", [False, True])
def test_a_trial_is_pruned_whether_or_not_somebody_looked_before_its_run_ended(tmp_path, fake, looks):
    """By hand: after two epochs the others have .5, so one with .1 is below their median, whatever comes after."""
    made = study(tmp_path, pruning=True)

    def run(plan, stop):
        write_run(plan.folder.path.parent, plan.folder.id, [0.9] * 2)
        values = (0.1, 0.1, 0.9) if len(made.spent()) == 5 else (0.5, 0.5, 0.9)
        epochs = [{"test/ndcg@10": value} for value in values]
        (plan.folder.path / "epochs.json").write_text(json.dumps(epochs))
        if looks and stop():
            raise Stopped
        return True

    fake.run = run
    search(made, 6, 1)
    assert states(made) == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED]


def test_an_objective_that_a_run_lacks_ends_the_search_once_and_not_every_time_at_the_same_trial(tmp_path, fake):
    made = study(tmp_path, objectives=("cost/energy_joules",))
    for ended in (1, 2):
        with pytest.raises(ConfigError, match=r"cost/energy_joules: is not measured; there are cost/"):
            search(made, 5, 1)
        assert states(made) == [TrialState.FAIL] * ended


def states(made):
    return [trial.state for trial in made.optuna.get_trials()]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_trials_that_run_at_once_are_drawn_apart(tmp_path, sampler):
    made = study(tmp_path, sampler=sampler)
    drawn = [made.ask().params for _ in range(4)]
    assert len({str(one) for one in drawn}) == 4


@pytest.mark.parametrize("workers", [1, 3])
def test_there_are_as_many_trials_as_were_asked_for(tmp_path, fake, workers):
    made = study(tmp_path)
    search(made, 5, workers)
    search(made, 5, workers)
    assert states(made) == [TrialState.COMPLETE] * 5
    search(made, 7, workers)
    assert len({str(trial.params) for trial in made.spent()}) == 7


def test_what_one_worker_raises_ends_the_others_and_loses_no_trial(tmp_path, fake):
    """The first breaks once the second has begun; the second is stopped and neither pruned nor failed."""
    begun = threading.Event()

    def run(plan, stop):
        if plan.folder.id == "run-0":
            assert begun.wait(10)
            raise OSError("disk is full")
        begun.set()
        for _ in range(1000):
            if stop():
                raise Stopped
            threading.Event().wait(0.01)
        raise AssertionError("nobody stopped it")

    fake.run = run
    made = study(tmp_path)
    with pytest.raises(OSError, match="disk is full"):
        search(made, 6, 2)
    assert states(made) == [TrialState.RUNNING] * 2
    before = {trial.number: trial.params for trial in made.optuna.get_trials()}
    fake.run = fake.finished
    search(study(tmp_path), 6, 2)
    assert states(made) == [TrialState.COMPLETE] * 6
    assert {number: made.optuna.get_trials()[number].params for number in before} == before


def test_a_run_that_is_not_a_number_is_a_failed_trial(tmp_path, fake):
    def run(plan, stop):
        write_run(tmp_path, plan.folder.id, metrics={"test/ndcg@10": math.nan})
        return True

    fake.run = run
    made = study(tmp_path)
    search(made, 2, 1)
    assert states(made) == [TrialState.FAIL] * 2
    assert len(made.spent()) == 2
    assert made.best() == []


def test_a_setting_that_no_model_has_is_a_failed_trial_with_its_reason(tmp_path, monkeypatch, capsys):
    """A dot product has no tau, so of the two heads one is refused wherever tau is drawn."""
    words = ["head=graph,dot", "head.tau=interval(0,0.5)", "datamodule.source.users=40"]
    monkeypatch.setattr(trials, "attempt", lambda plan, *more: bool(write_run(tmp_path, plan.folder.id)))
    made = study(tmp_path, words)
    search(made, 6, 1)
    found = {trial.params["head"]: trial.state for trial in made.spent()}
    assert len(made.spent()) == 6
    assert found == {"graph": TrialState.COMPLETE, "dot": TrialState.FAIL}
    assert "refused: 1 fault in the configuration: head.tau: there is no such setting" in capsys.readouterr().out


def test_pruning_by_what_epochs_do_not_measure_names_what_they_do(tmp_path, fake):
    def run(plan, stop):
        plan.folder.path.mkdir()
        (plan.folder.path / "epochs.json").write_text('[{"epoch": 0, "valid/ndcg@10": 0.5}]')
        stop()

    fake.run = run
    with pytest.raises(ConfigError, match="valid/cold/ndcg@10: is not measured; there are epoch, valid/ndcg@10"):
        search(study(tmp_path, objectives=("valid/cold/ndcg@10",), pruning=True), 2, 1)


def test_a_number_keeps_to_its_range_with_the_fewest_digits_that_do():
    space = space_of(["a.b=interval(0.99991,0.99999)", "c.d=interval(0,1)"])
    assert space.words({"a.b": 0.999961234, "c.d": 0.999961234}) == ("a.b=0.99996", "c.d=1.0")


BASED = ("experiment=sasrec", "head.temperature=0.2", "datamodule.source.users=40")


def run_of(words):
    return Run(plan_words(words).folder.id, "done", metrics={}, intervals={}, cost={}, provenance={})


@pytest.mark.parametrize(
    "words",
    [
        BASED,
        (*BASED, "debug=fast_dev"),
        (*BASED, f"hydra.searchpath=[file://{Path(__file__).parent}]"),
        ("sweep=strategies", "strategy=full", "head=dot", "text.pattern='{title}'"),
        ("few_shot=share", "datamodule.few_shot.share=0.5", "backbone=bert_tiny", "learning_rate=0.003"),
    ],
)
def test_as_an_experiment_the_words_are_of_the_same_run(words):
    run = run_of(words)
    require_same(recipe("found", "", words, run), words, run)


def test_a_recipe_of_another_run_is_refused_with_the_words_to_keep():
    text = recipe("found", "", ("head.temperature=0.3",), run_of(BASED))
    with pytest.raises(ConfigError, match=r"keep the words: experiment=sasrec head.temperature=0.2"):
        require_same(text, BASED, run_of(BASED))


def test_with_several_objectives_each_setting_that_none_beats_is_written(tmp_path):
    """By hand: of (1, 1), (2, 2), (0, 3) in NDCG up and seconds down the second is beaten by none, nor the first."""
    made = study(tmp_path, ["head.temperature=0.1,0.2,0.3"], objectives=("test/ndcg@10", "cost/seconds"))
    for ndcg, seconds in ((0.1, 1.0), (0.2, 2.0), (0.0, 3.0)):
        trial = made.ask()
        planned = plan_words(made.space.words(trial.params))
        trial.set_user_attr("run", planned.folder.id)
        if not planned.folder.path.exists():
            write_run(tmp_path, planned.folder.id)
        made.tell(trial, "complete", [ndcg, seconds])
    paths = write_best(made, tmp_path / "out")
    assert [path.name for path in paths] == ["some-1.yaml", "some-2.yaml"]
    assert "none of 3 trials (random) beats it" in paths[0].read_text()


def test_a_yaml_elsewhere_names_the_folder_in_which_hydra_finds_it(tmp_path):
    made = study(tmp_path, ["head.temperature=0.1,0.2"])
    trial = made.ask()
    planned = plan_words(made.space.words(trial.params))
    trial.set_user_attr("run", planned.folder.id)
    write_run(tmp_path, planned.folder.id)
    made.tell(trial, "complete", [0.1])
    (path,) = write_best(made, tmp_path / "conf" / "experiment")
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("# command: ")]
    _, _, _, *words = shlex.split(line.removeprefix("# command: "))
    assert plan_words([*words, f"runs_dir={tmp_path}"]).folder.id == planned.folder.id


@pytest.mark.slow
def test_an_interrupt_ends_the_search_and_costs_no_trial(bench):
    """Ctrl-C reaches every process of the terminal's group."""
    words = bench.words("logger=none", "head.temperature=interval(0.05,0.5)", "--trials", "2", "--name", "some")
    words += ["--objective", "cost/seconds", "--out", str(bench.here / "out")]
    (bench.here / "hold").touch()
    search_ = bench.start(*words, module="tune", start_new_session=True)
    bench.wait_for("pid-0")
    os.killpg(search_.pid, signal.SIGINT)
    search_.communicate(timeout=PATIENCE)
    assert search_.returncode != 0
    assert bench.processes() == {}
    assert bench.results() == {}
    (bench.here / "hold").unlink()
    out, error = bench.start(*words, module="tune").communicate(timeout=PATIENCE)
    found = optuna.load_study(
        study_name="study", storage=f"sqlite:///{bench.here}/runs/studies/some/study.db"
    ).get_trials()
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 2, error
    assert (bench.here / "out" / "some.yaml").is_file()
    assert read_run(bench.here / "runs" / found[0].user_attrs["run"]).status == "done"
    assert "2 trials each" in out
