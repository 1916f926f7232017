"""What leaves a run says what the run says; what cannot is refused, or said to be of no use, by name."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from datamodules.tiny_model import write_tiny_bert
from datamodules.types import Items
from experiments.config.compose import compose
from experiments.export import BASE, warn_of_silence
from experiments.export import main as export
from experiments.loading import load
from experiments.runs.folder import RunFolder
from experiments.runs.result import done
from experiments.training import train
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.loading import load_encoder
from lightning_modules.strategies.prefix import PrefixStrategy
from tests.experiments.conftest import WORLD

RUNS = {
    "frozen": ["strategy=frozen"],
    "top_k": ["strategy=top_k", "strategy.k=1"],
    "attention": ["strategy=lora", "backbone.pooling=attention"],
    "first": ["strategy=lora", "backbone.first_layers=1"],
    "first_prefix": ["strategy=prefix", "backbone.first_layers=1"],
    "minilm": ["backbone=minilm", "backbone.first_layers=null", "strategy=ia3"],
    "hybrid": ["backbone=hybrid", "backbone.text.path=tiny-bert", "strategy=top_k", "strategy.k=1"],
}


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """NAME -> the folder of a finished run."""
    root, made = tmp_path_factory.mktemp("exported"), {}

    def make(name):
        if name not in made:
            folder, config = (
                RunFolder(root / name),
                compose(["backbone=bert_tiny", *RUNS[name], *WORLD, f"runs_dir={root}"]),
            )
            folder.path.mkdir()
            folder.write("config.json", config)
            done(folder, train(config, folder.path))
            made[name] = folder.path
        return made[name]

    return make


def texts(run, count=20):
    rows = torch.arange(count)
    return Items(run.data.item_of_row[rows], run.data.tokens.take(rows))


def own_forward(model, items):
    """Mean over the tokens of each text of what a model's own forward says, one text at a time."""
    ends = items.tokens.offsets.tolist()
    with torch.no_grad():
        said = [
            model(input_ids=items.tokens.values[start:stop].long()[None]).last_hidden_state[0].mean(0)
            for start, stop in pairwise(ends)
        ]
    return torch.stack(said)


@pytest.mark.parametrize("name", ["frozen", "top_k", "hybrid"])
def test_a_run_of_kept_states_or_features_leaves_a_whole_model(name, run_of, tmp_path, capsys):
    run = load(run_of(name))
    assert run.data.items().tokens is None  # what made the export fail
    assert export([str(run_of(name)), str(tmp_path / "out")]) == 0, capsys.readouterr().err
    items = texts(run)
    said = own_forward(AutoModel.from_pretrained(tmp_path / "out").eval(), items)
    torch.testing.assert_close(said, run.model.encoder.pooled(items), rtol=0, atol=1e-5)
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) > 1000


# What peft 0.21.2 asks of transformers 5 by old names (seen on 2026-11-25).
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")
@pytest.mark.parametrize("name", ["first", "first_prefix"])
def test_an_adapter_of_the_first_layers_comes_with_the_model_it_belongs_on(name, run_of, tmp_path, capsys):
    assert export([str(run_of(name)), str(tmp_path / "out")]) == 0
    base = tmp_path / "out" / BASE
    assert capsys.readouterr().err.splitlines() == [f"peft's format, to be put on {base}"]
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    run = load(run_of(name))
    items = texts(run)
    opened = peft.PeftModel.from_pretrained(load_encoder(base), tmp_path / "out").eval()
    vectors = run.model.encoder.pooled(items)
    torch.testing.assert_close(own_forward(opened, items), vectors, rtol=0, atol=1e-5)
    assert float((own_forward(load_encoder(base), items) - vectors).abs().max()) > 1e-4
    assert len(AutoTokenizer.from_pretrained(base)) > 1000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_names_its_model_as_the_world_does_and_brings_the_tokenizer(run_of, tmp_path):
    assert export([str(run_of("minilm")), str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert record["base_model_name_or_path"] == "sentence-transformers/all-MiniLM-L6-v2"
    run = load(run_of("minilm"))
    folder = run.model.encoder.backbone.pretrained.config._name_or_path
    opened = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(folder), str(tmp_path / "out")).eval()
    few = texts(run)
    ours = run.model.encoder.pooled(few)
    torch.testing.assert_close(own_forward(opened, few), ours, rtol=0, atol=1e-5 * float(ours.abs().max()))
    assert AutoTokenizer.from_pretrained(tmp_path / "out").vocab_size == 30522
    assert not (tmp_path / "out" / "README.md").exists()


def test_the_pooling_that_was_learned_is_compared_with_itself(run_of, tmp_path, capsys):
    run = load(run_of("attention"))
    assert bool(run.model.encoder.backbone.pooling.query.weight.any())
    assert export([str(run_of("attention")), str(tmp_path / "out"), "--merge"]) == 0
    assert float(capsys.readouterr().err.strip().rsplit(" ", 1)[1]) < 1e-5


def test_a_merged_model_that_says_something_else_is_refused_and_not_left(run_of, tmp_path, capsys, monkeypatch):
    def spoilt(encoder):
        model = load_encoder(Path(encoder.backbone.pretrained.name_or_path))
        with torch.no_grad():
            model.embeddings.word_embeddings.weight.mul_(1.5)
        return model

    monkeypatch.setattr("lightning_modules.merging.merged", spoilt)
    assert export([str(run_of("top_k")), str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "the merged model moves a vector of the run by " in said.err
    assert "and rounding explains " in said.err
    assert (said.out, list(tmp_path.iterdir())) == ("", [])


def test_every_file_of_a_tokenizer_goes_along(run_of, tmp_path):
    run, model = Path(shutil.copytree(run_of("frozen"), tmp_path / "run")), tmp_path / "model"
    write_tiny_bert(model)
    (model / "sentencepiece.bpe.model").write_bytes(b"pieces")
    result = (run / "result.json").read_text()
    (run / "result.json").write_text(result.replace('"tiny-bert"', json.dumps(str(model))))
    assert export([str(run), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "sentencepiece.bpe.model").read_bytes() == b"pieces"


TINY = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
FAMILIES = {
    "bert": TINY,
    "gpt2": {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 2},
    "llama": TINY,
    "distilbert": {"vocab_size": 300, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
    "modernbert": TINY | SPECIAL,
    "t5": {"vocab_size": 300, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2},
}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prefix_that_peft_alone_passes_by_is_named(family, tmp_path, recwarn):
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(family, **FAMILIES[family])).save_pretrained(tmp_path)
    encoder = Encoder(LanguageModelBackbone(str(tmp_path)), PrefixStrategy())
    with torch.no_grad():
        for entry in encoder.trainable():
            entry.parameter.normal_()
    adapter, words = encoder.plan.adapter.eval(), torch.randint(5, 200, (1, 7))
    recwarn.clear()
    warn_of_silence(adapter)
    warned = [str(warning.message) for warning in recwarn]
    assert all("peft alone puts no prefix into " in one and "experiments.loading.load" in one for one in warned)
    plain = load_encoder(tmp_path)(input_ids=words).last_hidden_state
    try:
        heard = float((adapter(input_ids=words).last_hidden_state - plain).abs().max()) > 1e-3
    except (TypeError, ValueError, AttributeError):
        heard = False
    assert len(warned) == (0 if heard else 1)
