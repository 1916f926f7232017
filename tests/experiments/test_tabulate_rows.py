"""Which runs make a row, and what it is called."""

import pytest

from experiments.runs.read import read_run
from experiments.tables.comparable import find_row
from experiments.tables.rows import (
    TableError,
    following,
    label_of,
    make_rows,
    naming_keys,
    require_known,
    value_of,
)
from tests.experiments.fabricated import config, few_labels, write_run


def read(root, *runs):
    return [read_run(write_run(root, f"run-{place}", **run)) for place, run in enumerate(runs)]


def labels(runs):
    return [row.label for row in make_rows(runs, naming_keys(runs))]


def test_runs_that_differ_in_their_seed_alone_are_one_row(tmp_path):
    runs = read(tmp_path, {"seed": 2}, {"seed": 0}, {"seed": 1})
    (row,) = make_rows(runs, naming_keys(runs))
    assert [run.seed for run in row.done] == [0, 1, 2]


def test_rows_are_named_by_the_words_of_the_command_line(tmp_path):
    runs = read(
        tmp_path,
        {"overrides": ["experiment=sasrec", "seed=0"], "strategy": "full"},
        {"overrides": ["experiment=interest_graph", "seed=0"], "strategy": "lora"},
    )
    assert naming_keys(runs) == ("experiment",)
    assert labels(runs) == [("sasrec",), ("interest_graph",)]


def test_a_choice_left_to_its_default_is_named_by_its_file(tmp_path):
    runs = read(tmp_path, {"strategy": "frozen", "overrides": ["seed=0"]}, {"strategy": "lora"})
    assert labels(runs) == [("frozen",), ("lora",)]


def test_a_default_written_out_makes_no_row_of_its_own(tmp_path):
    head = config()["head"]
    runs = read(tmp_path, {"seed": 0, "overrides": ["seed=0"]}, {"seed": 1, "overrides": ["head.prior=none"]})
    assert head["prior"] == "none"
    assert len(labels(runs)) == 1


def test_what_only_the_configurations_tell_apart_is_named_by_its_path(tmp_path):
    head = config()["head"]
    runs = read(
        tmp_path, {"changes": {"head": head | {"dropout": 0.1}}}, {"changes": {"head": head | {"dropout": 0.5}}}
    )
    assert naming_keys(runs) == ("head.dropout",)
    assert labels(runs) == [("0.1",), ("0.5",)]


def test_as_few_settings_name_a_row_as_tell_them_apart(tmp_path):
    # strategy and strategy.rank both differ; the strategy alone suffices.
    plain, low = config("full")["strategy"], config("lora")["strategy"] | {"rank": 8}
    runs = read(tmp_path, *({"changes": {"strategy": part}, "overrides": ["seed=0"]} for part in (plain, low)))
    assert labels(runs) == [("full",), ("lora",)]
    high = {"changes": {"strategy": low | {"rank": 16}}, "overrides": ["seed=0"]}
    runs.append(read_run(write_run(tmp_path, "more", **high)))
    assert labels(runs) == [("full", "-"), ("lora", "8"), ("lora", "16")]


def test_settings_without_effect_make_no_rows(tmp_path):
    runs = read(tmp_path, {"seed": 0, "changes": {"logger": {"x": 1}}}, {"seed": 1, "changes": {"logger": {"x": 2}}})
    assert len(labels(runs)) == 1


DRAW = "datamodule.few_shot.draw"


def drawn(seed, draw, *words):
    return {"seed": seed, "changes": few_labels(0.1, draw), "overrides": ["strategy=lora", f"seed={seed}", *words]}


def test_what_follows_the_seed_is_averaged_with_it(tmp_path):
    runs = read(tmp_path, *(drawn(seed, seed, f"{DRAW}=${{seed}}") for seed in range(3)))
    assert following(runs) == {DRAW}
    assert naming_keys(runs) == ()
    assert len(make_rows(runs, ["strategy"])) == 1


def test_a_yaml_may_let_a_setting_follow_the_seed(tmp_path):
    runs = read(tmp_path, *(drawn(seed, seed) for seed in range(3)))
    assert following(runs) == {DRAW}
    assert len(make_rows(runs, ["strategy"])) == 1
    assert following(runs[:1]) == set()  # of one seed nobody can tell


def test_what_only_happens_to_be_the_seed_does_not_follow_it(tmp_path):
    runs = read(tmp_path, *(drawn(seed, seed, f"{DRAW}={seed}") for seed in range(2)), drawn(2, 7))
    for some in (runs[:2], runs):
        assert following(some) == set()
        with pytest.raises(TableError, match=f"{DRAW} is 0 or 1"):
            make_rows(some, ["strategy"])


def test_labels_drawn_once_and_labels_of_each_seed_are_two_rows(tmp_path):
    runs = read(tmp_path, *(drawn(seed, seed, f"{DRAW}=${{seed}}") for seed in (1, 2)), drawn(1, 0), drawn(2, 0))
    assert labels(runs) == [("${seed}",), ("0",)]


UNTRAINED = {
    "changes": dict.fromkeys(("backbone", "strategy", "head", "loss"))
    | {"scorer": {"_target_": "lightning_modules.scorers.untrained.UntrainedScorer"}, "rate": "middle"},
    "overrides": ["experiment=mine"],
}


def test_what_trains_nothing_is_called_by_its_scorer(tmp_path):
    trained, untrained = read(tmp_path, {"changes": {"rate": "middle"}}, UNTRAINED)
    assert label_of(untrained, ["strategy"]) == ("untrained",)
    assert label_of(untrained, ["strategy", "rate"]) == ("untrained", "-")  # it has no rate of its own
    assert label_of(trained, ["strategy", "rate"]) == ("lora", "middle")
    assert label_of(trained, ["datamodule.few_shot"]) == ("-",)
    assert label_of(untrained, ["experiment"]) == ("mine",)


def test_averaging_over_more_than_seeds_is_refused(tmp_path):
    runs = read(tmp_path, {"strategy": "full", "seed": 0}, {"strategy": "lora", "seed": 1})
    with pytest.raises(
        TableError, match="row '5' differ in more than their seed: strategy is full or lora; add strategy to --by"
    ):
        make_rows(runs, ["trainer.max_epochs"])


def test_a_seed_counts_once(tmp_path):
    runs = read(tmp_path, {"seed": 0}, {"seed": 0})
    with pytest.raises(TableError, match=r"several runs of seed 0 \(run-0, run-1\)"):
        make_rows(runs, naming_keys(runs))


def test_seed_zero_is_a_seed(tmp_path):
    assert read(tmp_path, {"seed": 0})[0].seed == 0


def test_a_misspelt_key_gets_the_nearest(tmp_path):
    runs = read(tmp_path, {})
    with pytest.raises(TableError, match=r"no run has a setting 'head\.pior'.*head\.prior"):
        require_known(["head.pior"], runs)


def test_hydra_signs_are_no_part_of_a_setting(tmp_path):
    (run,) = read(tmp_path, {"overrides": ["+a=1", "++b.c=x=y", "~callbacks.ema"]})
    assert (value_of(run, "a"), value_of(run, "b.c"), value_of(run, "callbacks.ema")) == ("1", "x=y", "removed")


def test_a_reference_is_found_by_value_or_by_key(tmp_path):
    runs = read(
        tmp_path,
        *(
            {"strategy": one, "overrides": [f"strategy={one}", f"head={two}"]}
            for one in ("full", "lora")
            for two in "ab"
        ),
    )
    keys = ("strategy", "head")
    rows = make_rows(runs, keys)
    assert find_row("lora, a", rows, keys) == find_row("head=a,strategy=lora", rows, keys) == ("lora", "a")
    for several in ("strategy=lora", "lora"):
        with pytest.raises(TableError, match="names 2 rows"):
            find_row(several, rows, keys)
    assert find_row("lora", rows[1:3], keys) == ("lora", "a")  # as much of a label as it takes
    with pytest.raises(TableError, match=r"'lora,c' names 0 rows; nearest: lora,"):
        find_row("lora,c", rows, keys)


def test_a_seam_left_alone_is_named_by_the_choice_that_hydra_made(tmp_path):
    # Two YAMLs of one file: the class is the same, the words are not.
    minilm = {"backbone": {"_target_": "x.language_model.M", "path": "m"}}
    bert = {"backbone": {"_target_": "x.language_model.M", "path": "b"}}
    changes = [
        {
            "changes": minilm,
            "provenance": {"choices": {"backbone": "minilm"}, "pretrained_digest": "1"},
            "overrides": ["seed=0"],
        }
    ]
    changes.append({"changes": bert, "provenance": {"pretrained_digest": "2"}, "overrides": ["backbone=bert_base"]})
    assert labels(read(tmp_path, *changes)) == [("minilm",), ("bert_base",)]


def test_language_models_of_folders_are_called_by_their_folders_and_files(tmp_path):
    changes = [
        {
            "seed": seed,
            "changes": {"backbone": {"_target_": "x.language_model.M", "path": f"models/{name}"}},
            "provenance": {"pretrained_digest": {"backbone.path": f"{seed}123456789"}},
        }
        for seed, name in enumerate(("gpt2", "llama"))
    ]
    assert labels(read(tmp_path, *changes)) == [("gpt2 (012345)",), ("llama (112345)",)]


def test_a_strategy_names_nothing_of_a_run_that_trains_nothing(tmp_path):
    untrained = {"scorer": {"_target_": "lightning_modules.scorers.untrained.UntrainedScorer"}}
    (run,) = read(tmp_path, {"strategy": "lora", "changes": untrained, "overrides": ["strategy=lora"]})
    assert label_of(run, ["strategy"]) == ("untrained",)


def test_circumstances_that_change_results_separate_rows(tmp_path):
    runs = read(tmp_path, {"seed": 0}, {"seed": 1, "provenance": {"precision": "bf16-mixed"}})
    assert naming_keys(runs) == ("precision",)
    assert labels(runs) == [("32-true",), ("bf16-mixed",)]


def test_a_default_that_one_run_wrote_out_and_another_in_other_digits_is_one_row(tmp_path):
    head = config()["head"]
    said = [(head, []), (head | {"tau": 0.0}, ["head.tau=0.0"]), (head | {"tau": 0}, ["head.tau=0"])]
    runs = read(
        tmp_path,
        *({"seed": seed, "changes": {"head": one}, "overrides": words} for seed, (one, words) in enumerate(said)),
    )
    assert naming_keys(runs) == ()
    (row,) = make_rows(runs, ("head",))
    assert len(row.done) == 3


def test_a_part_that_is_gone_is_compared_as_it_was_written(tmp_path):
    gone = {"_target_": "lightning_modules.heads.gone.GoneHead"}
    runs = read(tmp_path, {"changes": {"head": gone | {"tau": 1}}}, {"changes": {"head": gone | {"tau": 2}}})
    assert naming_keys(runs) == ("head.tau",)


def test_seeds_on_different_data_are_no_row(tmp_path):
    runs = read(tmp_path, *({"seed": seed, "provenance": {"data_digest": str(seed) * 16}} for seed in range(2)))
    assert naming_keys(runs) == ("data_digest",)
    with pytest.raises(TableError, match="data_digest"):
        make_rows(runs, ("strategy",))
