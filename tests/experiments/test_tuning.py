"""A search that forgets nothing: its space, its study on disk, what it stops, and the recipe that it leaves."""

import json
import threading

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.config.check import ConfigError
from experiments.config.header import read_header
from experiments.runs.read import Run
from experiments.tune import main
from experiments.tuning.own_files import replace_own, require_own
from experiments.tuning.possible import require_possible
from experiments.tuning.recipe import recipe
from experiments.tuning.space import space_of
from experiments.tuning.study import SPENT, Asked, Study, studying
from experiments.tuning.trial import Watch, values_of
from tests.experiments.fabricated import write_run

SMALL = ("datamodule.source.users=30", "datamodule.source.items=40", "datamodule.source.events=8")
WORDS = ("strategy=lora", "learning_rate=tag(log,interval(1e-4,1e-2))", "head.tau=interval(0,0.5)", "head=graph,dot")
OBJECTIVE = ("valid/ndcg@10",)


def test_each_kind_of_range_is_drawn_from_as_hydra_means_it():
    words = [
        *WORDS,
        "interest.layers=int(interval(1,4))",
        "datamodule.users_per_step=range(32,129,32)",
        "seed=choice(0,1)",
    ]
    space = space_of(words)
    assert space.fixed == ("strategy=lora",)
    assert dict(space.searched) == {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "head.tau": FloatDistribution(0, 0.5),
        "head": CategoricalDistribution(["graph", "dot"]),
        "interest.layers": IntDistribution(1, 4),
        "datamodule.users_per_step": IntDistribution(32, 128, step=32),
        "seed": CategoricalDistribution([0, 1]),
    }


def test_a_drawn_setting_reads_as_words_that_hydra_reads_back():
    space = space_of(["a.b=interval(0,1)", "text.pattern=choice('{title}','{title} ({year})')", "c=true,null"])
    drawn = {"a.b": 0.000123456, "text.pattern": "'{title} ({year})'", "c": None}
    assert space.words(drawn) == ("a.b=0.0001235", "text.pattern='{title} ({year})'", "c=null")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["strategy=lora"], "nothing is searched"),
        (["head.tau=glob(*)"], "is no range"),
        (["head.tau=interval(1,0)"], "head.tau"),
        (["head.tau=="], "not an override"),
    ],
)
def test_what_cannot_be_searched_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        space_of(words)


def study(folder, pruning=False, sampler="tpe", **changes):
    space = space_of(WORDS)
    asked = {"words": space.fixed, "space": space.texts, "objectives": OBJECTIVE, "sampler": sampler, "seed": 0}
    return Study(folder, space, Asked(**asked | {"pruning": pruning} | changes))


def merit(drawn):
    return (drawn["head"] == "graph") - abs(drawn["head.tau"] - 0.2) - drawn["learning_rate"]


def make(made, trials):
    """So many trials of a function in the place of runs."""
    for _ in range(trials):
        trial = made.ask()
        trial.set_user_attr(SPENT, f"run-{trial.number}")
        made.tell(trial, "complete", [merit(trial.params)])


def drawn(made):
    return [trial.params for trial in made.spent()]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_that_is_opened_again_draws_what_it_would_have_drawn(tmp_path, sampler):
    whole = study(tmp_path / "whole", sampler=sampler)
    make(whole, 16)
    for _ in range(4):
        make(study(tmp_path / "parts", sampler=sampler), 4)
    assert drawn(study(tmp_path / "parts", sampler=sampler)) == drawn(whole)
    assert len({json.dumps(one) for one in drawn(whole)}) == 16


def test_what_a_kill_left_is_gone_on_with_or_drawn_again_alike(tmp_path):
    """Killed after it was drawn, a trial is the next one to run; killed while it was drawn, it is drawn anew."""
    whole = study(tmp_path / "whole")
    make(whole, 6)
    make(study(tmp_path / "killed"), 3)
    left = study(tmp_path / "killed").ask()
    (found,) = study(tmp_path / "killed").interrupted()
    assert (found.number, found.params) == (left.number, left.params)
    again = study(tmp_path / "killed")
    found.set_user_attr(SPENT, "run-3")
    again.tell(found, "complete", [merit(found.params)])
    again.optuna.ask({"head": CategoricalDistribution(["graph", "dot"])})  # half of a setting
    assert study(tmp_path / "killed").interrupted() == []
    make(study(tmp_path / "killed"), 2)
    assert drawn(study(tmp_path / "killed")) == drawn(whole)


def test_a_study_of_something_else_is_not_gone_on_with(tmp_path):
    study(tmp_path)
    with pytest.raises(ConfigError, match=r"seed was 0 and is 1.*--name"):
        study(tmp_path, seed=1)
    with (
        studying(tmp_path),
        pytest.raises(ConfigError, match="another process works on this study"),
        studying(tmp_path),
    ):
        pass


@pytest.mark.slow
def test_tpe_finds_more_than_chance_does(tmp_path):
    """On a smooth function, over 40 trials each."""
    found = {}
    for sampler in ("tpe", "random"):
        made = study(tmp_path / sampler, sampler=sampler)
        make(made, 40)
        found[sampler] = sum(sorted(merit(one) for one in drawn(made))[-20:]) / 20
    assert found["tpe"] > found["random"]


def measured(folder, *values):
    folder.mkdir(exist_ok=True)
    (folder / "epochs.json").write_text(json.dumps([{"epoch": i, OBJECTIVE[0]: v} for i, v in enumerate(values)]))


def watched(made, folder, *values):
    """The verdict on a run that measured these; those that are not stopped end well."""
    trial = made.ask()
    trial.set_user_attr(SPENT, folder.name)
    measured(folder, *values)
    watch = Watch(made, trial, folder, threading.Lock())
    stopped = watch.stops()
    made.tell(trial, "pruned" if stopped else "complete", [values[-1]])
    return stopped, watch.judged


def test_a_run_below_the_median_of_the_others_is_stopped_at_the_first_such_epoch(tmp_path):
    """By hand: five runs come first, whatever they do; of .2, .3, .4, .5, .6 after two epochs the median is .4."""
    made = study(tmp_path / "study", pruning=True)
    for place in range(5):
        assert watched(made, tmp_path / f"run-{place}", 0.1, 0.2 + place / 10, 0.9) == (False, 3)
    assert watched(made, tmp_path / "above", 0.1, 0.41, 0.95) == (False, 3)
    assert watched(made, tmp_path / "below", 0.1, 0.39, 0.99) == (True, 2)


def test_a_run_is_judged_alike_whenever_somebody_looks(tmp_path):
    made = study(tmp_path / "study", pruning=True)
    for place in range(5):
        watched(made, tmp_path / f"run-{place}", 0.1, 0.2 + place / 10)
    trial, folder = made.ask(), tmp_path / "slow"
    watch = Watch(made, trial, folder, threading.Lock())
    assert not watch.stops()  # nothing is measured yet
    measured(folder, 0.1)
    assert not watch.stops()
    again = Watch(study(tmp_path / "study", pruning=True), trial, folder, threading.Lock())  # after a kill
    measured(folder, 0.1, 0.3)
    assert again.stops()
    assert again.judged == 2


def test_objectives_are_metrics_and_costs_of_the_run(tmp_path):
    folder = write_run(tmp_path, "lora")
    assert values_of(folder, ["test/hr@10", "cost/seconds_per_epoch"]) == [4 / 6, 125.0]
    with pytest.raises(ConfigError, match=r"valid/ndcg@11: is not measured; there are cost/"):
        values_of(folder, ["valid/ndcg@11"])


def test_the_recipe_is_an_experiment_with_its_number(tmp_path):
    run = Run(
        "some-run",
        "done",
        metrics={"test/hr@10": 0.5, "test/ndcg@10": 0.25},
        intervals={"test/hr@10": (0.4, 0.6), "test/ndcg@10": (0.2, 0.31)},
        cost={"seconds": 90.0},
        provenance={"hardware": "a processor", "commit": "0123456789"},
    )
    words = [
        "strategy=lora",
        "optimizer.lr=0.001",
        "text.pattern='{title}'",
        "head=graph",
        "runs_dir=x",
        "+head.tau=0.2",
    ]
    path = tmp_path / "found.yaml"
    path.write_text(recipe("found", "the best of 9 trials", words, run))
    header = read_header(path)
    assert header.expected == {"test/hr@10": (0.5, 0.1), "test/ndcg@10": (0.25, 0.055)}
    assert (header.command, header.time) == ("python -m experiments.train experiment=found", "1 min 30 s")
    assert path.read_text().splitlines()[7:] == [
        *("defaults:", "  - override /strategy: lora", "  - override /head: graph", ""),
        *("optimizer:", "  lr: 0.001", "text:", "  pattern: '{title}'", "head:", "  tau: 0.2"),
    ]
    with pytest.raises(ConfigError, match="cannot take a choice away"):
        recipe("found", "", ["~logger"], run)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["head.tau=interval(0,1)", "--objective", "test/ndcg@10"], "chosen by validation"),
        (["head.tau=interval(0,1)", "--prune", "--objective", "cost/seconds"], "give one objective"),
        (["head.tau=interval(0,1)", "--trials", "0"], "1 at least"),
        (["head.tau=interval(0,1)", "--rows", "strategy"], "not of the form"),
        (["head.tau=interval(0,1)", "--rows", "strategy=full", "strategy=lora"], "strategy: stands twice"),
        (["head.tau=interval(0,1)", "runs_dir=elsewhere"], "is --runs-dir"),
        (["seed=range(0,9)", "--rows", "seed=1,2"], "--rows seed: seed=range(0,9) says it as well"),
        (["head=dot", "--rows", "seed=1,2", "head.tau=interval(0,1)"], "head.tau=interval(0,1): stands behind --rows"),
        (
            ["head=dot", "--objective", "valid/hr@5", "seed=range(0,9)"],
            "seed=range(0,9): stands behind",
        ),
        (["head.tau=0.1"], "nothing is searched"),
    ],
)
def test_senseless_searches_are_refused(arguments, said, capsys):
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["head.tua=interval(0,1)"], "did you mean 'tau'"),
        (["head.tau=interval(0,1)", "strategy=lroa"], "did you mean 'lora'"),
        (["head.tau=interval(0,1)", "--objective", "valid/ndgc@10"], "--objective: 'valid/ndgc@10' is not computed"),
        (["head.tau=interval(0,1)", "--objective", "cost/second"], "did you mean 'cost/seconds'"),
        (["head.tau=interval(0,1)", "--objective", "valid/cold/hr@11"], "'valid/hr@11' is not computed"),
        (["head.tau=interval(0,1)", "--objective", "valid/cold/hr@10", "--prune"], "not measured after each epoch"),
    ],
)
def test_what_no_trial_could_be_is_refused_once_and_before_there_is_a_study(arguments, said, tmp_path, capsys):
    assert main([*SMALL, *arguments, "--runs-dir", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert (told.out, (tmp_path / "studies").exists()) == ("", False)


def test_slices_and_every_cost_that_runs_state_can_be_searched_by(tmp_path):
    space = space_of(["head.tau=interval(0,1)", *SMALL, f"runs_dir={tmp_path}"])
    require_possible(space, ["valid/cold/hr@10", "cost/seconds_per_validation", "valid/ndcg@10"], pruning=False)


def test_a_search_takes_the_place_of_its_own_files_and_of_no_others(tmp_path):
    study_, out = tmp_path / "study", tmp_path / "out"
    study_.mkdir()
    out.mkdir()
    (out / "lora.yaml").touch()
    require_own(study_, out, "found")
    three = {out / f"found-{place}.yaml": f"{place}\n" for place in (1, 2, 3)}
    assert replace_own(study_, three) == list(three)
    require_own(study_, out, "found")
    assert replace_own(study_, {out / "found.yaml": "only\n"}) == [out / "found.yaml"]
    assert sorted(path.name for path in out.iterdir()) == ["found.yaml", "lora.yaml"]
    require_own(study_, out, "found")
    with pytest.raises(ConfigError, match=r"lora.yaml is there and no search of that name here wrote it"):
        require_own(study_, out, "lora")
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match=r"found.yaml is there"):
        require_own(tmp_path / "other", out, "found")


def test_examples_have_every_choice_and_both_ends():
    space = space_of(["head=graph,dot", "head.tau=interval(0,0.5)", "interest.layers=int(interval(1,4))", "seed=3"])
    assert list(space.examples()) == [
        ("seed=3", "head=graph", "head.tau=0.0", "interest.layers=1"),
        ("seed=3", "head=dot", "head.tau=0.5", "interest.layers=4"),
    ]
