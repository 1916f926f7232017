"""A run begins where another one ended, and takes from no run what it must not know or cannot use."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.config.check import ConfigError
from experiments.config.compose import compose
from experiments.config.identity import Circumstances
from experiments.config.pretrained import pretrained_digests
from experiments.corpus import prepared_of
from experiments.runs.folder import RunFolder
from experiments.runs.parents import adopt, require_akin
from experiments.runs.result import done
from experiments.training import train
from experiments.warm_start import warm_start
from experiments.wiring import build_data, build_module

WORLD = (
    *("backbone=bert_tiny", "backbone.dim=8", "objective.history_length=12", "datamodule.users_per_step=16"),
    *("datamodule.source.users=60", "datamodule.source.items=60", "datamodule.source.events=14"),
    *("trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=1"),
    *("logger=none", "callbacks.progress=null", "callbacks.startup_table=null"),
)
FEW = ("few_shot=users", "datamodule.few_shot.users=20")


def composed(runs: Path, *words: str) -> dict:
    return compose([*WORLD, f"runs_dir={runs}", *words])


def around(config: dict) -> Circumstances:
    return Circumstances(prepared_of(config).digest, "32-true", 1, pretrained_digests(config))


def finished(runs: Path, name: str, *words: str, outcome: dict | None = None) -> dict:
    """A run of that name, trained unless it is given what came out."""
    config = composed(runs, *words)
    parents, folder = adopt(config), RunFolder(runs / name)
    folder.path.mkdir()
    folder.write("config.json", config)
    made = around(config)
    known = {"data_digest": made.data, "pretrained_digest": made.pretrained, "source_digest": "s"}
    folder.write("provenance.json", known)
    require_akin(config, made, parents)
    done(folder, outcome or train(config, folder.path))
    return config


NOTHING = {"metrics": {}, "intervals": {}, "cost": {}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs around a frozen language model, one of few labels, and one that tuned it."""
    folder = tmp_path_factory.mktemp("runs")
    finished(folder, "frozen", "strategy=frozen")
    finished(folder, "few", "strategy=frozen", *FEW, outcome=NOTHING)
    finished(folder, "tuned", "strategy=lora", outcome=NOTHING)
    return folder


def planned(runs: Path, *words: str) -> dict:
    """As far as a plan is made of it."""
    config = composed(runs, *words)
    require_akin(config, around(config), adopt(config))
    return config


@pytest.mark.parametrize("strategy", ["lora", "side", "iisan", "prefix", "frozen"])
def test_everything_outside_the_language_model_is_the_parents(runs, strategy, capsys):
    config = planned(runs, f"strategy={strategy}", "parents=[frozen]", "seed=1")
    module = build_module(config, build_data(config))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    warm_start(module, runs / "frozen")
    kept = torch.load(runs / "frozen" / "best.ckpt", weights_only=True)["state_dict"]
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    inside = {name for name in before if ".pretrained." in name or ".reading." in name}
    assert not moved & inside
    assert len(moved) >= 8  # of interest, head and projection
    after = module.state_dict()
    for name in moved:
        assert torch.equal(after[name], kept[name.replace("backbone.read.backbone.", "backbone.")])
    own = {name for name, parameter in module.named_parameters() if parameter.requires_grad} - inside
    assert own - moved <= {name for name in own if torch.equal(before[name], after[name])}
    assert capsys.readouterr().out == f"begins with {len(own)} tensors of frozen\n"


def test_the_first_step_ranks_as_the_parent_did(runs, tmp_path):
    """LoRA's start is the frozen model, so all scores are the parent's."""
    vectors = []
    for strategy in ("frozen", "lora"):
        config = planned(runs, f"strategy={strategy}", "parents=[frozen]", "backbone.dropout=0")
        data = build_data(config)
        module = build_module(config, data)
        warm_start(module, runs / "frozen")
        vectors.append(module.model.encoder.catalogue(data.items(np.arange(data.log.n_items))))
    torch.testing.assert_close(*vectors)


def test_a_whole_run_begins_with_it(runs, tmp_path):
    outcome = train(planned(runs, "strategy=bitfit", "parents=[frozen]"), tmp_path)
    assert outcome["metrics"]["test/ndcg@10"] >= 0


def test_the_words_of_a_name_change_no_identity(runs):
    parent = adopt(composed(runs, "strategy=lora", "parents=frozen"))[0]  # brackets may be left out
    assert parent.made_from == "frozen-s"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["parents=[tuned]"], "tuned its language model, which is not handed on"),
        (["parents=[frozen]", *FEW], "learned from labels that few_shot keeps from this run"),
        (["parents=[few]", *FEW, "datamodule.few_shot.draw=1"], "labels that few_shot keeps from this run"),
        (["parents=[few]", "few_shot=share"], "labels that few_shot keeps from this run"),
        (["parents=[frozen]", "split=temporal"], "learned under another split"),
        (["parents=[frozen]", "datamodule.source.seed=7"], "learned from a corpus that was read or filtered otherwise"),
        (["parents=[frozen]", "backbone.dim=16"], "has backbone.dim=8, this run 16"),
        (["parents=[frozen]", "backbone.whiten=true"], "has backbone.whiten=False, this run True"),
        (["parents=[frozen,few]"], "2 of them give the same"),
        (["parents=[absent]"], "absent is no finished run in"),
    ],
)
def test_what_must_not_or_cannot_be_used_is_refused(runs, words, said):
    with pytest.raises(ConfigError, match=said):
        planned(runs, "strategy=lora", *words)


def test_fewer_labels_of_the_same_draw_may_go_before_more(runs):
    for words in ([], FEW, [FEW[0], "datamodule.few_shot.users=30"]):
        assert planned(runs, "strategy=lora", "parents=[few]", *words)["parents"] == ["few"]


def test_a_scorer_that_trains_nothing_takes_no_head(runs):
    with pytest.raises(ConfigError, match="this scorer trains nothing that could begin with it"):
        adopt(compose(["experiment=popularity", f"runs_dir={runs}", "parents=[frozen]"]))


def test_another_head_is_refused_with_the_tensor_that_lacks(runs):
    config = planned(runs, "strategy=lora", "interest=attention", "parents=[frozen]")
    module = build_module(config, build_data(config))
    with pytest.raises(ValueError, match=r"parent frozen lacks .* give both the same interest and head"):
        warm_start(module, runs / "frozen")
