"""A language model is adapted in one run, and another run begins with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from experiments.config.check import ConfigError
from experiments.config.compose import CONF, compose
from experiments.runs import dry_run
from experiments.runs.folder import RunFolder
from experiments.runs.parents import LANGUAGE_MODEL, adopt
from experiments.runs.plan import Plan, plan
from experiments.runs.result import done
from experiments.tabulate import main as tabulate
from experiments.training import train
from experiments.wiring import build_data, build_module
from lightning_modules.parts.loading import load_encoder

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")  # it holds the run

WORLD = (
    "backbone=bert_tiny",
    "datamodule.source.users=60",
    "datamodule.source.items=60",
    "datamodule.source.events=14",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "trainer.max_epochs=2",
    "logger=none",
    "callbacks.progress=null",
)
ADAPT = (*WORLD, "learning_rate=0.003", "corpus.tokens_per_step=512", "corpus.held_out=0.1")
CHILD = ("objective.history_length=12", "datamodule.users_per_step=16", "callbacks.startup_table=null")


@pytest.fixture(scope="module")
def adapted(tmp_path_factory) -> Path:
    """The folder of a run that the program made."""
    here = tmp_path_factory.mktemp("adapt")
    folder = Path(program(here)[-1])
    assert folder.parent == here / "runs"
    return folder


def program(here: Path, *words: str) -> list[str]:
    """Lines that it printed."""
    command = [sys.executable, "-m", "experiments.adapt", *ADAPT, f"runs_dir={here / 'runs'}", *words]
    environment = os.environ | {"PYTHONPATH": str(CONF.parent), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=here)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()


def planned(folder: Path, *words: str) -> Plan:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra_compose("adapt", [*ADAPT, f"runs_dir={folder}", *words], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return plan(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), config.hydra)


def vectors(runs: Path, *words: str) -> torch.Tensor:
    """Of the catalogue, by a language model as it is when a run begins."""
    config = compose([*WORLD, *CHILD, "strategy=frozen", f"runs_dir={runs}", *words])
    adopt(config)
    data = build_data(config)
    module = build_module(config, data)
    return module.model.encoder(data.items(np.arange(data.log.n_items)))


def test_the_program_leaves_a_result_and_a_model_that_opens_again(adapted):
    result = json.loads((adapted / "result.json").read_text())
    assert adapted.name.startswith("simulator-bert_tiny-masked-s0-")
    assert result["status"] == "done"
    assert set(result["metrics"]) == {"valid/loss", "valid/perplexity"}
    assert 1 < np.exp(result["metrics"]["valid/loss"]) == pytest.approx(result["metrics"]["valid/perplexity"])
    assert result["cost"]["trainable_share"] == 1.0
    assert result["cost"]["epochs"] == 2
    assert result["cost"]["seconds_per_epoch"] > 0
    steps = torch.load(adapted / "adapted.ckpt", weights_only=True)["global_step"]
    assert 2 * result["cost"]["batches_per_epoch"] == steps > 6  # more than a dry run tries
    assert result["provenance"]["command"].startswith("python -m experiments.adapt backbone=bert_tiny")
    assert "brings no head that predicts words" in (adapted / "log.txt").read_text()
    folder = adapted / LANGUAGE_MODEL
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"}
    kept = torch.load(adapted / "adapted.ckpt", weights_only=True)["state_dict"]
    encoder = load_encoder(folder).state_dict()
    assert len(encoder) > 30
    assert all(torch.equal(encoder[name], kept[f"model.bert.{name}"]) for name in encoder)
    raw = load_encoder(adapted.parent / "cache" / "tiny-bert").state_dict()
    assert {name for name in raw if torch.equal(raw[name], encoder[name])} <= {
        name for name in raw if name.endswith(("key.bias", "position_ids"))
    }


def test_the_same_words_reuse_the_run(adapted):
    assert program(adapted.parent.parent) == [f"{adapted.name}: finished before", str(adapted)]


@pytest.mark.slow
def test_a_dry_run_tells_whole_epochs(adapted, tmp_path, monkeypatch):
    """Of the few steps it is made the time of all of them, so what is foretold is as long as epochs are."""
    few, whole = [], dry_run._as_whole

    def seen(probe, config):
        few.append(probe.cost)
        return whole(probe, config)

    monkeypatch.setattr(dry_run, "_as_whole", seen)
    made = planned(tmp_path, "dry_run=measure", f"cache_dir={adapted.parent / 'cache'}")
    job = dry_run.Job((), made.folder.id, "to run")
    told = dry_run.measured(job, made, 1, {})
    (cost,) = few
    steps = json.loads((adapted / "result.json").read_text())["cost"]["batches_per_epoch"]
    longer = 2 * cost["seconds_per_epoch"] * (steps / 3 - 1)
    assert told.forecast.seconds == pytest.approx(cost["seconds"] + longer)
    assert not made.folder.path.exists()


def test_a_run_begins_with_its_parents_model(adapted):
    plain, begun = (vectors(adapted.parent, *words) for words in ((), (f"parents=[{adapted.name}]",)))
    assert plain.shape == begun.shape
    assert (plain - begun).abs().max() > 1e-2
    folder, runs = adapted.parent / "child", f"runs_dir={adapted.parent}"
    folder.mkdir(exist_ok=True)
    config = compose([*WORLD, *CHILD, "strategy=lora", "trainer.max_epochs=1", runs, f"parents=[{adapted.name}]"])
    adopt(config)
    assert train(config, folder)["metrics"]["test/ndcg@10"] >= 0


def test_an_adapted_model_can_be_adapted_further(adapted):
    made = planned(adapted.parent, f"parents=[{adapted.name}]", "seed=1")
    made.folder.path.mkdir()
    outcome = train(made.config, made.folder.path)
    assert outcome["metrics"]["valid/loss"] > 0
    assert made.config["parents"] == [adapted.name]


def test_a_table_shows_it(adapted, tmp_path, capsys):
    words = [str(adapted), "--metrics", "valid/loss", "valid/perplexity", "--out", str(tmp_path / "table.md")]
    assert tabulate(words) == 0
    capsys.readouterr()
    loss = json.loads((adapted / "result.json").read_text())["metrics"]["valid/loss"]
    assert f"{loss:.4f}" in (tmp_path / "table.md").read_text()


def test_what_is_not_read_gives_no_other_name(tmp_path):
    same = planned(tmp_path)
    for words in (["backbone.pooling=cls"], ["backbone.dim=8"], ["datamodule.users_per_step=7"]):
        assert planned(tmp_path, *words).folder.id == same.folder.id
    for words in (["backbone.first_layers=1"], ["adaptation.share=0.3"], ["corpus.held_out=0.2"], ["seed=1"]):
        assert planned(tmp_path, *words).folder.id != same.folder.id
    assert same.program == "adapt"


def test_what_cannot_be_adapted_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match="has 0 language models"):
        planned(tmp_path, "backbone=item_id")
    with pytest.raises(ConfigError, match="nothing puts the corpus into any"):
        planned(tmp_path, "~text")
    stranger = RunFolder(tmp_path / "stranger")
    stranger.path.mkdir()
    done(stranger, {"metrics": {}, "intervals": {}, "cost": {}})
    with pytest.raises(ConfigError, match="stranger adapted no language model"):
        planned(tmp_path, "parents=[stranger]")


def test_the_wrong_task_and_texts_beyond_the_model_are_refused_before_training(tmp_path):
    for words, said in (
        (["adaptation=causal"], "bert was not pretrained to say the next word"),
        (["text.max_tokens=500"], "text.max_tokens is 500, and tiny-bert reads 128"),
    ):
        made = planned(tmp_path, *words)
        made.folder.path.mkdir()
        with pytest.raises(ValueError, match=said):
            train(made.config, made.folder.path)
        assert list(made.folder.path.iterdir()) == []
