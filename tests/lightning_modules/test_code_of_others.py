"""No Python file that lies in a model's folder is ever run, also where somebody would say yes to it."""

import ast
import builtins
import json
import shutil
import sys

import pytest
from transformers import AutoModelForMaskedLM

from datamodules.corpus import DataError
from datamodules.text.corpus_texts import piece_lengths
from datamodules.text.tokens import tokenise
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.loading import load_encoder, load_tokenizer
from lightning_modules.parts.word_model import load_word_model
from lightning_modules.scorers.likelihood import LikelihoodScorer, Reader

CODE = """
from pathlib import Path
from transformers import BertConfig, BertModel, BertTokenizer

Path({witness!r}).write_text("was here")

class MineConfig(BertConfig):
    model_type = "mine"

class Mine(BertModel):
    config_class = MineConfig

class MineTokenizer(BertTokenizer):
    pass
"""
MODEL = {"AutoConfig": "mine.MineConfig", "AutoModel": "mine.Mine", "AutoModelForMaskedLM": "mine.Mine"}


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


@pytest.fixture
def witness(tmp_path, monkeypatch):
    """The file that the code would write; whoever asks for leave gets it, and the code would be copied here."""
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    return tmp_path / "witness"


@pytest.fixture
def folder(tiny_bert, tmp_path, witness):
    """A model and a tokenizer of a family that only the code in their folder knows."""
    made = tmp_path / "mine"
    shutil.copytree(tiny_bert, made)
    (made / "mine.py").write_text(CODE.format(witness=str(witness)), encoding="utf-8")
    change(made / "config.json", model_type="mine", auto_map=MODEL)
    change(
        made / "tokenizer_config.json",
        tokenizer_class="MineTokenizer",
        auto_map={"AutoTokenizer": ["mine.MineTokenizer", None]},
    )
    return made


WAYS = {
    "encoder": load_encoder,
    "backbone": lambda folder: LanguageModelBackbone(str(folder)),
    "word model": lambda folder: load_word_model(AutoModelForMaskedLM, folder, "masked", None),
    "likelihood": lambda folder: LikelihoodScorer(Reader(folder, ("red hat",))),
    "tokenizer of a model": load_tokenizer,
    "tokens": lambda folder: tokenise(("red hat",), folder, 8, folder / "cache"),
    "lengths": lambda folder: piece_lengths(["red hat"], folder),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_needs_its_own_code_is_refused_unread(way, folder, witness):
    with pytest.raises(ValueError, match="such as bert-base-uncased") as caught:
        WAYS[way](folder)
    assert str(folder) in str(caught.value)
    assert "trust_remote_code" not in str(caught.value)
    assert not witness.exists()
    assert not list(folder.parent.glob("modules/**/mine.py"))
    assert isinstance(caught.value, DataError) == (way in ("tokens", "lengths"))


def test_a_family_that_is_known_is_read_without_the_code_beside_it(folder, witness, tiny_bert, token_items):
    change(folder / "config.json", model_type="bert")
    change(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer")
    assert load_encoder(folder).num_parameters() == load_encoder(tiny_bert).num_parameters()
    assert tokenise(("red hat",), folder, 8, folder / "cache").values.tolist() == (
        tokenise(("red hat",), tiny_bert, 8, folder / "other").values.tolist()
    )
    assert not witness.exists()


def test_another_fault_keeps_its_words(tiny_bert, tmp_path):
    shutil.copytree(tiny_bert, tmp_path / "strange")
    change(tmp_path / "strange" / "config.json", model_type="strange")
    with pytest.raises(ValueError, match="model type `strange`"):
        load_encoder(tmp_path / "strange")


def test_every_call_that_reads_a_folder_forbids_it(repository):
    files = [
        file
        for floor in ("datamodules", "lightning_modules", "experiments")
        for file in repository.glob(f"{floor}/**/*.py")
    ]
    calls = [
        (file.name, {word.arg: ast.unparse(word.value) for word in node.keywords})
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained"
    ]
    assert sorted(name for name, _ in calls) == ["loading.py", "loading.py", "loading.py", "tokens.py"]
    assert {words.get("trust_remote_code") for _, words in calls} == {"False"}
    assert {words.get("local_files_only") for _, words in calls} == {"True"}
