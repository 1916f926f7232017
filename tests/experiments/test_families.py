"""Every family of language models trains by the same command, from a local folder of random weights, to the end."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from datamodules.tiny_model import write_tiny_bert
from experiments.config.compose import compose
from experiments.export import main as export
from experiments.loading import load
from experiments.runs.folder import RunFolder
from experiments.runs.result import done
from experiments.training import train
from lightning_modules.backbones.language_model import LanguageModelBackbone
from tests.experiments.conftest import WORLD

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SETTINGS = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "llama": SMALL,
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0},
}
CASES = [("gpt2", "last", "lora"), ("llama", "last", "prefix"), ("t5", "mean", "houlsby"), ("t5", "decoder", "full")]


def write_model(folder: Path, family: str) -> Path:
    """A model of random weights with the tiny BERT's tokenizer beside it."""
    write_tiny_bert(folder)
    vocabulary = len(AutoTokenizer.from_pretrained(folder))
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = AutoConfig.for_model(family, vocab_size=vocabulary, **SETTINGS[family], **special)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """(family, pooling, strategy) -> the folder of a finished run."""
    root, made = tmp_path_factory.mktemp("families"), {}

    def make(case):
        if case not in made:
            family, pooling, strategy = case
            model = root / family
            if not model.exists():
                write_model(model, family)
            words = ["backbone=gpt2", f"backbone.path={model}", f"backbone.pooling={pooling}", f"strategy={strategy}"]
            folder = RunFolder(root / "-".join(case))
            folder.path.mkdir()
            config = compose([*words, *WORLD, f"runs_dir={root}"])
            folder.write("config.json", config)
            done(folder, train(config, folder.path))
            made[case] = folder.path
        return made[case]

    return make


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_it_trains_to_the_end_and_is_opened_again(case, run_of):
    folder = run_of(case)
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "done"
    assert 0.0 <= result["metrics"]["test/ndcg@10"] <= 1.0
    run = load(folder)
    assert run.model.encoder.backbone.packs
    assert len(run.recommend(user="u1", k=5)) == 5


def test_a_merged_language_model_is_an_ordinary_folder(run_of, tmp_path, capsys):
    assert export([str(run_of(CASES[0])), str(tmp_path / "plain"), "--merge"]) == 0
    printed, told = capsys.readouterr()
    assert printed.splitlines()[-1] == str(tmp_path / "plain")
    moved = float(told.strip().splitlines()[-1].rsplit(" ", 1)[1])
    assert moved < 1e-5
    assert LanguageModelBackbone(str(tmp_path / "plain"), pooling="last").depth == 2
    assert len(AutoTokenizer.from_pretrained(tmp_path / "plain")) > 1000


def test_an_adapter_is_exported_in_pefts_format(run_of, tmp_path, capsys):
    assert export([str(run_of(CASES[2])), str(tmp_path / "adapter")]) == 0
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {
        file.name for file in (tmp_path / "adapter").iterdir()
    }
    assert export([str(run_of(CASES[2])), str(tmp_path / "plain"), "--merge"]) == 1
    assert "is no linear map, so it cannot be merged" in capsys.readouterr().err


def test_what_holds_something_or_has_no_language_model_is_refused(run_of, tiny_runs, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    shutil.copy(run_of(CASES[0]) / "config.json", tmp_path / "full")
    assert export([str(run_of(CASES[0])), str(tmp_path / "full")]) == 1
    assert "holds something already" in capsys.readouterr().err
    assert export([str(tiny_runs("sasrec")), str(tmp_path / "none")]) == 1
    assert "has no language model" in capsys.readouterr().err
