"""Tiny language models in real Hugging Face folders, and items with random tokens for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModel

from datamodules.tiny_model import write_tiny_bert
from datamodules.types import Items, Ragged

TINY = {
    "vocab_size": 2900,  # more than the tiny tokenizer has
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
}

SPECIAL = {"pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
SPECIAL |= {"decoder_start_token_id": 0}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What a test draws is the same each time, in whatever order tests run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """albert stands for every model that is not read layer by layer; the others are."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_bert(root / "bert")
    roberta = TINY | {"pad_token_id": 1}
    grouped = {"num_key_value_heads": 1}
    t5 = {"vocab_size": 2900, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2} | SPECIAL
    settings = {
        "roberta": roberta,
        "xlm-roberta": roberta,
        "camembert": roberta,
        "electra": TINY | {"embedding_size": 16},
        "gpt2": {"vocab_size": 2900, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 130},
        "llama": TINY,
        "mistral": TINY | grouped,
        "qwen2": TINY | grouped,
        "qwen3": TINY | grouped | {"head_dim": 16},
        "distilbert": {"vocab_size": 2900, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
        "modernbert": TINY | {"local_attention": 12, "global_attn_every_n_layers": 2} | SPECIAL,
        "t5": t5,
        "mt5": t5,
        "albert": TINY | {"embedding_size": 16},  # narrower in front of the layers
    }
    return {"bert": root / "bert"} | {name: _written(root / name, name, values) for name, values in settings.items()}


@pytest.fixture(scope="session")
def windowed_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models whose attention sees 8 tokens, Mistral's in both layers, Qwen's in the upper one, and one in none."""
    root = tmp_path_factory.mktemp("windowed")
    qwen = TINY | {"num_key_value_heads": 1, "sliding_window": 8, "use_sliding_window": True, "max_window_layers": 1}
    settings = {
        "mistral": TINY | {"num_key_value_heads": 1, "sliding_window": 8},
        "qwen2": qwen,
        "qwen3": qwen | {"head_dim": 16},
        "qwen3-unused": qwen | {"head_dim": 16, "max_window_layers": 2},
    }
    return {name: _written(root / name, name.partition("-")[0], values) for name, values in settings.items()}


def _written(folder: Path, kind: str, settings: dict[str, Any]) -> Path:
    """A model with random weights, the same ones each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(AutoConfig.for_model(kind, **settings)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def token_items() -> Callable[..., Items]:
    """Items whose texts have the given lengths; tokens from 5 on, since smaller ones are special."""

    def make(*lengths: int, seed: int = 0) -> Items:
        generator = torch.Generator().manual_seed(seed)
        values = torch.randint(5, 200, (sum(lengths),), generator=generator, dtype=torch.int32)
        offsets = torch.tensor([0, *lengths]).cumsum(0)
        return Items(torch.arange(len(lengths)), Ragged(values, offsets))

    return make


@pytest.fixture(scope="session")
def choices(repository: Path) -> Callable[[str], dict[str, dict]]:
    """The content of every YAML of a folder of conf/, by stem."""

    def read(seam: str) -> dict[str, dict]:
        files = sorted((repository / "conf" / seam).glob("*.yaml"))
        return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}

    return read


@pytest.fixture(scope="session")
def tiny_bert(tiny_models: dict[str, Path]) -> Path:
    """The folder of the tiny BERT."""
    return tiny_models["bert"]
