"""Word pieces of texts, made once, stored end to end and never padded."""

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64

from datamodules.corpus import DataError
from datamodules.pretrained import digest_tokenizer
from datamodules.storage import atomic_folder, digest, write_array

TOKENS_EPOCH = 1
"""Raised with every change of the code that makes other tokens of the same texts."""

UNKNOWN_LIMIT = 0.05
_TEXTS_AT_ONCE = 8192


@dataclass(frozen=True, eq=False)
class Tokens:
    """Text r has the word pieces values[offsets[r]:offsets[r + 1]], special tokens included, mapped from disk.

    unknown_share: share of word pieces, special tokens aside, that the vocabulary does not know.
    """

    values: Int32[np.ndarray, " L"]
    offsets: Int64[np.ndarray, " R1"]
    unknown_share: float


def tokenise(texts: tuple[str, ...], tokenizer_folder: Path, max_tokens: int, root: Path) -> Tokens:
    """The tokens of `texts`, kept under root/tokens and reused for the same texts, tokenizer and cut.

    Warns where more than 5% of the word pieces are unknown to the vocabulary. Raises `DataError` for a full disk,
    for a damaged folder and for a tokenizer that only code of its own can read.
    """
    folder = Path(root) / "tokens" / _key(texts, tokenizer_folder, max_tokens)
    if not folder.is_dir():
        with atomic_folder(folder) as temporary:
            _write(temporary, texts, tokenizer_folder, max_tokens)
    tokens = _open(folder, len(texts))
    if tokens.unknown_share > UNKNOWN_LIMIT:
        warnings.warn(
            f"{tokens.unknown_share:.1%} of the word pieces are unknown to the tokenizer in {tokenizer_folder.name!r} "
            f"(more than {UNKNOWN_LIMIT:.0%}), so the language model cannot read them; choose a backbone that knows "
            "the language",
            UserWarning,
            stacklevel=2,
        )
    return tokens


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder, by transformers' own code. Raises `DataError` where it takes Python files of the
    folder, or of a repository that it names: whoever wrote them could do anything. Left to itself transformers asks at
    the terminal, and advises to allow it."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise DataError(
            "has a tokenizer that can only be read by Python code that comes with it, and no such code is run; give a "
            "model whose tokenizer transformers itself knows, such as bert-base-uncased",
            file=folder,
        ) from None


def _key(texts: tuple[str, ...], tokenizer_folder: Path, max_tokens: int) -> str:
    return digest([TOKENS_EPOCH, digest_tokenizer(tokenizer_folder), max_tokens, texts])


def _write(folder: Path, texts: tuple[str, ...], tokenizer_folder: Path, max_tokens: int) -> None:
    tokenizer = open_tokenizer(tokenizer_folder)
    pieces = list(chain.from_iterable(_encoded(tokenizer, texts, max_tokens)))
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    values = np.fromiter(chain.from_iterable(pieces), dtype=np.int32, count=int(lengths.sum()))
    write_array(folder / "values.npy", values)
    write_array(folder / "offsets.npy", np.append(np.int64(0), np.cumsum(lengths)))
    share = _unknown_share(values, tokenizer.unk_token_id, tokenizer.all_special_ids)
    (folder / "meta.json").write_text(json.dumps({"unknown_share": share}), encoding="utf-8")


def _encoded(tokenizer: Any, texts: tuple[str, ...], max_tokens: int) -> Iterator[list[list[int]]]:
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = list(texts[start : start + _TEXTS_AT_ONCE])
        yield tokenizer(part, truncation=True, max_length=max_tokens, return_attention_mask=False)["input_ids"]


def _unknown_share(values: np.ndarray, unknown: int | None, special: list[int]) -> float:
    if unknown is None:  # a byte-level vocabulary knows everything
        return 0.0
    words = ~np.isin(values, [token for token in special if token != unknown])
    return float((values == unknown).sum() / max(int(words.sum()), 1))


def _open(folder: Path, n_texts: int) -> Tokens:
    try:
        values, offsets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("values", "offsets"))
        share = float(json.loads((folder / "meta.json").read_text(encoding="utf-8"))["unknown_share"])
        whole = len(offsets) == n_texts + 1 and len(values) == offsets[-1]
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(folder, f"cannot be read ({error})") from error
    if not whole:
        raise _damaged(folder, "does not hold what was written")
    return Tokens(values, offsets, share)


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(f"{what}; delete the folder, and the next run makes it anew", file=folder)
