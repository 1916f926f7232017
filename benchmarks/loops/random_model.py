"""A language model folder with random weights, of any size: speed does not ask what a model has learned."""

import shutil
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from benchmarks.loops.corpora import CACHE
from benchmarks.measuring.arithmetic import Shape
from datamodules.storage import atomic_folder

HEAD = 64
"""Width of an attention head, in all of BERT's sizes."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def random_bert(shape: Shape, reader: Path) -> Path:
    """A BERT of the given shape with the tokenizer of the folder `reader`, made once in the cache of runs.

    MiniLM's tokenizer is that of bert-base-uncased, so texts are as long as that reads them.
    """
    folder = CACHE / "random" / f"bert-{shape.depth}x{shape.dim}x{shape.inner}-{reader.name}"
    if not folder.is_dir():
        with atomic_folder(folder) as made:
            _write(made, shape, reader)
    return folder


def _write(folder: Path, shape: Shape, reader: Path) -> None:
    for name in TOKENIZER:
        if (reader / name).is_file():
            shutil.copy(reader / name, folder / name)
    vocabulary = (reader / "vocab.txt").read_text("utf-8").splitlines()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=shape.dim,
        num_hidden_layers=shape.depth,
        num_attention_heads=max(shape.dim // HEAD, 1),
        intermediate_size=shape.inner,
    )
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
