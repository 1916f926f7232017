"""All faults of a configuration are found before anything runs, and each names its place and the way out."""

import ast

import pytest

from experiments.config.annotation import fits
from experiments.config.check import ConfigError, check, nodes
from experiments.config.compose import compose

ADAMW = {"_target_": "torch.optim.adamw.AdamW", "_partial_": True}
STOPPING = "pytorch_lightning.callbacks.early_stopping.EarlyStopping"


def _faults(config):
    with pytest.raises(ConfigError) as raised:
        check(config)
    return raised.value.faults


def test_every_fault_is_reported_at_once_with_its_path():
    config = {
        "optimizer": ADAMW | {"lr": "fast", "params": [1], "weight_decy": 0.1},
        "callbacks": {"stop": {"_target_": STOPPING, "patience": 1.5}},
        "parts": [{"_target_": "torch.optim.adamw.Adam2"}],
    }
    assert _faults(config) == [
        "optimizer.lr: is 'fast' (str), but AdamW takes float | Tensor",
        "optimizer.params: is [1], but code supplies it to AdamW; leave it out",
        "optimizer.weight_decy: AdamW takes no argument 'weight_decy'; did you mean 'weight_decay'?",
        "callbacks.stop.patience: is 1.5 (float), but EarlyStopping takes int",
        "callbacks.stop.monitor: EarlyStopping needs this argument and it has no default",
        "parts.0._target_: module torch.optim.adamw has no 'Adam2'; did you mean 'AdamW'?",
    ]


def test_what_code_supplies_later_may_be_missing_from_a_partial():
    check({"elsewhere": ADAMW})


def test_what_code_supplies_depends_on_the_place():
    """`dim` is a choice of a backbone, and the wiring's business in a head."""
    target = {"_target_": "lightning_modules.backbones.item_id.ItemIdBackbone", "dim": 8}
    check({"backbone": target})
    assert "code supplies it" in _faults({"head": target})[0]


def test_nodes_are_found_in_lists_and_mappings_outer_first():
    config = {"a": {"_target_": "x.Y", "b": [{"c": {"_target_": "x.Z"}}]}}
    assert [path for path, _ in nodes(config)] == ["a", "a.b.0.c"]


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [1, -3], [1.0, True, "1", None]),
        ("float", [1, 0.5], [True, "0.5", None]),
        ("bool", [True], [1, "true"]),
        ("str", ["x", ""], [1, None]),
        ("int | None", [1, None], ["1"]),
        ("Optional[float]", [None, 2], ["2"]),
        ("Union[int, str]", [1, "auto"], [1.5]),
        ("Literal['a', 'b'] | None", ["a", None], ["c", 1]),
        ("Literal[1, 2]", [1], [3, True, "1"]),
        ("tuple[str, ...]", [[], ["a", "b"]], [[1], "ab"]),
        ("tuple[int, float]", [[1, 2.5]], [[1], ["1", 2]]),
        ("list[int]", [[1, 2]], [[1, "2"], 1]),
        ("dict[str, int]", [{"a": 1}, {}], [{"a": "1"}, [1]]),
        ("'int'", [1], ["1"]),
        ("Sequence[Literal['x']]", [["x"]], [["y"]]),
        ("Unheard[of] | Callable", [1, "x", None, [2]], []),
        ("int", [], [{"_target_": "x.Y"}]),
        ("tuple[Part, ...]", [[{"_target_": "x.Y"}]], [{"a": 1}]),
    ],
)
def test_values_fit_annotations(annotation, good, bad):
    kind = ast.parse(annotation, mode="eval").body
    assert [fits(value, kind, None) for value in good] == [True] * len(good)
    assert [fits(value, kind, None) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("head=grpah", "head=grpah: there is no such choice; did you mean 'graph'?"),
        ("haed=dot", "haed: there is no such setting; did you mean 'head'?"),
        ("head.tua=1", "head.tua: there is no such setting; did you mean 'tau'?"),
        ("hydra.launcher.n_jobs=2", "one job after another takes no settings; choose hydra/launcher=joblib"),
        ("optimizer.eps=1e-6", "optimizer.eps: no YAML lists it, but AdamW takes it: write +optimizer.eps=..."),
        ("+optimizer.epz=1e-6", "optimizer.epz: AdamW takes no argument 'epz'; did you mean 'eps'?"),
        ("optimizer.lr=fast", "optimizer.lr: is 'fast' (str), but AdamW takes float | Tensor"),
        ("seed", "seed: is not an override of the form key=value"),
        ("text=null", "text=null: a seam is left out with ~text"),
        ("seed=???", "seed: must be given"),
        ("rate=hihg", "rate=hihg: there is no such rate; did you mean 'high'?"),
        ("few_shot.share=0.2", "few_shot: its settings stand at datamodule.few_shot"),
        ("head._target_=lightning_modules.heads.graph.GrpahHead", "did you mean 'GraphHead'?"),
    ],
)
def test_a_misspelt_override_is_answered_in_one_message(override, says):
    with pytest.raises(ConfigError) as raised:
        compose([override])
    assert len(raised.value.faults) == 1
    assert says in raised.value.faults[0]


def test_folders_are_absolute_so_that_a_run_opens_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = compose(["data_dir=raw", "runs_dir=out"])
    assert config["cache_dir"] == str(tmp_path / "out" / "cache")
    assert config["data_dir"] == str(tmp_path / "raw")
