"""Few labels in a configuration: chosen by words, part of a run's name, described."""

import pytest

from datamodules.few_shot import FewEvents
from datamodules.splits.leave_one_out import LeaveOneOutSplit
from experiments.config.check import ConfigError
from experiments.config.compose import compose
from experiments.config.identity import Circumstances, run_digest
from experiments.description import few_shot_facts, split_grids
from tests.datamodules.small_corpus import prepared


def digest(config, few_shot):
    made = config | {"datamodule": config["datamodule"] | {"few_shot": few_shot}}
    return run_digest(made, Circumstances(data="d", precision="32-true", world_size=1))


def of(name, **settings):
    return {"_target_": f"datamodules.few_shot.{name}", **settings}


def test_the_run_is_named_after_its_labels():
    config = compose(["experiment=popularity"])
    plain = run_digest(config, Circumstances(data="d", precision="32-true", world_size=1))
    assert "few_shot" not in config["datamodule"]
    assert digest(config, None) == plain
    rules = [of("FewUsers", users=20), of("FewUsers", users=21), of("FewUsers", users=20, draw=1)]
    rules += [of("ShareOfUsers", share=share) for share in (0.05, 0.2)] + [of("FewEvents", events=k) for k in (3, 4)]
    names = [digest(config, rule) for rule in rules]
    assert len({plain, *names}) == len(rules) + 1
    assert digest(config, of("FewUsers", users=20, draw=0)) == names[0]  # a default, written out


def test_labels_are_chosen_on_the_command_line():
    words = ["+datamodule.few_shot={_target_: datamodules.few_shot.ShareOfUsers, share: 0.05, draw: '${seed}'}"]
    config = compose(["experiment=popularity", "seed=2", *words])
    assert config["datamodule"]["few_shot"] == of("ShareOfUsers", share=0.05, draw=2)
    with pytest.raises(ConfigError, match="ShareOfUsers takes no argument 'users'"):
        compose(["experiment=popularity", words[0].replace("share:", "users:")])


def test_the_labels_of_a_split_are_described(tmp_path):
    """Training of u, v, w: a b, a, a b c; with 2 events each a b, a, a b."""
    made = [(user, item, k) for user, items in (("u", "abcd"), ("v", "abc"), ("w", "abcde"))
            for k, item in enumerate(items)]  # fmt: skip
    three = prepared(tmp_path, made, keys=list("abcdef"))
    split = LeaveOneOutSplit()(three)
    assert few_shot_facts(three, split, FewEvents(2)(three, split)) == {
        "users with training events": "3 of 3 (100%)",
        "training events": "5 of 6 (83%)",
        "targets": "2 of 3 (67%)",
    }
    assert [grid.title for grid in split_grids(three, split, None)] == ["Split"]
    grids = split_grids(three, split, FewEvents(1))
    assert [grid.title for grid in grids] == ["Split", "What few_shot left"]
    cells = {row[0].text: row[1].text for grid in grids for row in grid.rows}
    assert cells["targets"] == "0 of 3 (0%)"
    assert cells["items never trained on"] == "5 (83%)"
    assert cells["test queries"].startswith("3,")
