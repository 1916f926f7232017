"""The model made on the spot is an ordinary folder, the same each time."""

import subprocess
import sys
from pathlib import Path

from transformers import AutoModel, AutoTokenizer

from datamodules.tiny_model import write_tiny_bert


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_tiny_bert(tmp_path / name, seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_transformers_opens_it_with_nothing_missing(tmp_path: Path) -> None:
    write_tiny_bert(tmp_path)
    model, report = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(tmp_path))


def test_words_are_spelt_in_pairs_and_other_scripts_are_unknown(tmp_path: Path) -> None:
    write_tiny_bert(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("Heat, 1995 \u7535").input_ids)
    assert pieces == ["[CLS]", "he", "##at", ",", "19", "##95", "[UNK]", "[SEP]"]


def test_it_is_written_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, datamodules.tiny_model as tiny\n"
        f"tiny.write_tiny_bert(pathlib.Path({str(tmp_path)!r}))\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
    assert (tmp_path / "model.safetensors").is_file()
