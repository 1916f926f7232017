"""Every family of language models trains by the same command, from a local folder of random weights, to the end."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

from datamodules.tiny_model import write_tiny_bert
from experiments.config.compose import compose
from experiments.config.pretrained import pretrained_digests
from experiments.export import main as export
from experiments.job import run as run_job
from experiments.loading import load
from experiments.runs.folder import RunFolder
from experiments.runs.parents import LANGUAGE_MODEL, adopt
from experiments.runs.result import done, failed
from experiments.tabulate import main as tabulate
from experiments.training import train
from experiments.wiring import build_data, build_module
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.loading import load_encoder
from lightning_modules.scorers.likelihood import LikelihoodScorer
from tests.experiments.conftest import WORLD

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SETTINGS = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "llama": SMALL,
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0},
    "albert": SMALL | {"embedding_size": 16},
}
BACKBONES = {"gpt2": "gpt2", "llama": "llama3_1b", "t5": "t5_base", "albert": "bert_base"}
CASES = [("gpt2", "last", "lora"), ("llama", "last", "prefix"), ("t5", "mean", "houlsby"), ("t5", "decoder", "full")]
CASES += [("albert", "mean", "full")]
WITHOUT_HEAD = [
    word for word in WORLD if not word.startswith(("objective", "datamodule.users", "callbacks.startup_table"))
]
REFUSAL = "BitfitStrategy trains biases, and {model} has none: use strategy=layernorm"


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
def model_of(tmp_path_factory):
    """Family -> a folder with such a model."""
    root = tmp_path_factory.mktemp("models")
    return lambda family: root / family if (root / family).exists() else write_model(root / family, family)


def begun(path: Path, words: list[str], program: str = "train") -> tuple[RunFolder, dict]:
    """The folder of a run that is about to be made, and its configuration."""
    folder, config = RunFolder(path), compose([*words, f"runs_dir={path.parent}"], program)
    folder.path.mkdir(parents=True)
    adopt(config)
    folder.write("config.json", config)
    folder.write("overrides.json", words)
    folder.write("provenance.json", {"pretrained_digest": pretrained_digests(config)})
    return folder, config


def made(path: Path, words: list[str], program: str = "train") -> Path:
    """The folder of a finished run."""
    folder, config = begun(path, words, program)
    done(folder, train(config, folder.path))
    return folder.path


def words_of(case: tuple[str, str, str], model_of) -> list[str]:
    family, pooling, strategy = case
    backbone = [f"backbone={BACKBONES[family]}", f"backbone.path={model_of(family)}", f"backbone.pooling={pooling}"]
    return [*backbone, f"strategy={strategy}", *WORLD]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory, model_of):
    """(family, pooling, strategy) -> the folder of a finished run."""
    root = tmp_path_factory.mktemp("families")

    def make(case):
        path = root / "-".join(case)
        return path if path.exists() else made(path, words_of(case, model_of))

    return make


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_it_trains_to_the_end_and_is_opened_again(case, run_of):
    folder = run_of(case)
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "done"
    assert 0.0 <= result["metrics"]["test/ndcg@10"] <= 1.0
    run = load(folder)
    assert run.model.encoder.backbone.packs == (case[0] != "albert")  # whose texts pass in buckets of one length
    assert len(run.recommend(user="u1", k=5)) == 5


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_what_trains_has_left_the_folders_weights_and_nothing_else_has(case, run_of):
    run = load(run_of(case))
    pl.seed_everything(run.config["seed"], workers=True, verbose=False)
    fresh = build_module(run.config, build_data(run.config)).model.encoder
    moved = {name for name, p in run.model.encoder.named_parameters() if not torch.equal(p, fresh.get_parameter(name))}
    trained = {item.name for item in fresh.trainable()}
    assert moved <= trained
    assert {name for name in trained - moved if "key.bias" not in name} == set()  # softmax ignores a key's bias


@pytest.mark.slow
def test_one_command_trains_a_t5_and_lists_the_strategy_that_it_refuses(model_of, tmp_path, repository, capsys):
    words = ["-m", "strategy=lora,bitfit", "backbone=t5_base", f"backbone.path={model_of('t5')}", *WORLD]
    environment = os.environ | {"PYTHONPATH": str(repository), "INTERESTLAB_SWEEP": "t5"}
    command = [sys.executable, "-m", "experiments.train", *words]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert ended.returncode == 1
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/result.json")]
    assert {one["status"]: one["overrides"][0] for one in results} == {
        "done": "strategy=lora",
        "failed": "strategy=bitfit",
    }
    folder = next(path.parent for path in (tmp_path / "runs").glob("*/best.ckpt"))
    kept = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    ups = [value for name, value in kept.items() if "lora_B" in name]
    assert len(ups) == 4
    assert all(bool(up.any()) for up in ups)  # they start at zero
    assert REFUSAL.format(model="T5EncoderModel") in ended.stderr
    assert tabulate([ended.stdout.splitlines()[-1]]) == 0
    assert REFUSAL.format(model="T5EncoderModel") in " ".join(capsys.readouterr().out.split())


def test_a_refused_pair_fails_before_any_step_and_is_a_row_with_its_reason(run_of, model_of, tmp_path):
    folder, _ = begun(tmp_path / "refused", words_of(("llama", "last", "bitfit"), model_of))
    assert run_job(folder) == 1
    assert failed(folder, 1)["status"] == "failed"
    reason = folder.read("result.json")["error"]["message"]
    assert reason.startswith(REFUSAL.format(model="LlamaModel"))
    begun_and_ended = ("config", "overrides", "provenance", "error", "result")
    assert {path.name for path in folder.path.iterdir()} == {f"{name}.json" for name in begun_and_ended}
    out = tmp_path / "table.md"
    assert tabulate([str(run_of(CASES[1])), str(folder.path), "--by", "strategy", "--out", str(out)]) == 0
    assert REFUSAL.format(model="LlamaModel") in out.read_text()


def test_a_decoder_learns_the_words_first_and_a_run_begins_with_it(model_of, tmp_path):
    model = model_of("gpt2")
    words = ["backbone=gpt2", f"backbone.path={model}"]
    learning = ["adaptation=causal", "learning_rate=0.003", "corpus.held_out=0.1", *WITHOUT_HEAD]
    adapted = made(tmp_path / "adapted", [*words, *learning], "adapt")
    loss = json.loads((adapted / "result.json").read_text())["metrics"]["valid/loss"]
    assert 0.0 < loss < math.log(len(AutoTokenizer.from_pretrained(model)))  # that of knowing nothing
    raw, learned = (load_encoder(folder).state_dict() for folder in (model, adapted / LANGUAGE_MODEL))
    assert {name for name in raw if torch.equal(raw[name], learned[name])} == set()
    child = load(made(tmp_path / "child", [*words, "strategy=frozen", "parents=[adapted]", *WORLD]))
    read = child.model.encoder.backbone.pretrained.state_dict()
    assert all(torch.equal(read[name], learned[name]) for name in learned)


def test_a_decoder_is_asked_about_each_item_through_a_whole_run(model_of, tmp_path):
    model = model_of("gpt2")
    words = ["experiment=untrained", "scorer=likelihood", "scorer.positive=ok", "scorer.events=3"]
    words += ["backbone=gpt2", f"backbone.path={model}"]
    small = ["datamodule.source.users=8", "datamodule.source.items=20", "datamodule.source.events=6"]
    world = [word for word in WORLD if word.startswith(("trainer.a", "trainer.p", "logger"))]
    run = load(made(tmp_path / "asked", [*words, *small, *world]))
    assert isinstance(run.fitted, LikelihoodScorer)
    assert run.results.metrics["test/hr@10"] > 0
    told = [one.item for one in run.recommend(user="u1", k=5)]
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model).eval()
    yes, no = tokenizer.convert_tokens_to_ids(["ok", "no"])
    texts, prepared = run.data.texts.texts, run.data.prepared
    keys, user = prepared.items["item"].to_pylist(), list(prepared.users).index("u1")
    history = prepared.item[prepared.offsets[user] : prepared.offsets[user + 1]]
    past = "; ".join(texts[item] for item in history[-3:])
    odds = {}
    for place, key in enumerate(keys):
        prompt = f"A person liked {past}. Would this person like {texts[place]}?"
        with torch.no_grad():
            logits = network(**tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)).logits[0, -1]
        odds[key] = float(logits[yes] - logits[no])
    seen = {keys[item] for item in history}
    assert told == sorted(odds.keys() - seen, key=odds.__getitem__, reverse=True)[:5]


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
