"""Everything that a corpus says in words, for a language model to learn from without labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from datamodules.corpus import DataError
from datamodules.preparing.prepared import Prepared, Split
from datamodules.text.template import TextTable
from datamodules.text.tokens import open_tokenizer

SEPARATOR = "; "


@dataclass(frozen=True)
class CorpusTexts:
    """Distinct texts: of each item of the catalogue, and of each user's training events in words, oldest first.

    An event's words are those that a recommender reads, with its phrase where it has one: "Heat, watched to the end;
    Alien, bought it". A history longer than a text may be goes on in the next text; no event is divided. Item texts are
    side information, so all items speak; of events only those of training do.

    held_out: the share of the texts that loss and perplexity are measured on and that is never trained on, at least one
    text; the run's seed decides which. An item's own text may be held out while a history names the item.
    tokens_per_step: what a step reads at most, padding included, of one process; it bounds memory. Raises ValueError
    for values out of range.
    """

    held_out: float = 0.05
    tokens_per_step: int = 2048

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError(f"corpus.held_out is {self.held_out}; a share of the texts lies between 0 and 1")
        if self.tokens_per_step < 1:
            raise ValueError(f"corpus.tokens_per_step is {self.tokens_per_step}; a step reads at least 1 token")

    def held(self, texts: Sequence[str], seed: int) -> np.ndarray:
        """(len(texts),) True where a text is held out: those whose digests, with the seed, are the smallest. Raises
        `DataError` where none would be left to train on."""
        count = max(1, round(self.held_out * len(texts)))
        if count >= len(texts):
            raise DataError(
                f"of {len(texts)} texts {count} would be held out and none would train: the corpus is too small, or "
                f"corpus.held_out={self.held_out} too large"
            )
        lots = [sha256(f"{seed}\0{text}".encode()).digest() for text in texts]
        held = np.zeros(len(texts), dtype=bool)
        held[sorted(range(len(texts)), key=lots.__getitem__)[:count]] = True
        return held


def distinct_texts(
    table: TextTable, prepared: Prepared, split: Split, tokenizer_folder: Path, max_tokens: int
) -> tuple[str, ...]:
    """The catalogue's texts, then the histories', each once. max_tokens: where a history is cut, special tokens
    included."""
    catalogue = table.texts[: prepared.items.num_rows]
    alone, further, special = piece_lengths(table.texts, tokenizer_folder)
    rows = table.row[np.asarray(prepared.behaviour), np.asarray(prepared.item)].tolist()
    told: list[str] = []
    for start, stop in zip(prepared.offsets[:-1].tolist(), split.train_stop.tolist(), strict=True):
        parts = cut(rows[start:stop], alone, further, max_tokens - special)
        told += (SEPARATOR.join(table.texts[row] for row in part) for part in parts)
    return tuple(dict.fromkeys((*catalogue, *told)))


def cut(rows: Sequence[int], alone: Sequence[int], further: Sequence[int], room: int) -> Iterator[Sequence[int]]:
    """Consecutive parts of `rows`, as long as fit into `room` tokens; one that does not fit by itself stands alone.

    alone, further: tokens of a row's text where it comes first, and behind a separator.
    """
    start = used = 0
    for place, row in enumerate(rows):
        longer = used + further[row]
        if place > start and longer > room:
            yield rows[start:place]
            start = place
        used = alone[row] if place == start else longer
    if start < len(rows):
        yield rows[start:]


def piece_lengths(texts: Sequence[str], tokenizer_folder: Path) -> tuple[list[int], list[int], int]:
    """Word pieces of each text by itself and behind a separator, and how many special tokens a text gets.

    For WordPiece the sum over a text's parts is exact. A vocabulary of bytes may join the last mark of one part with
    the separator, which shortens the whole.
    """
    tokenizer = open_tokenizer(tokenizer_folder)
    alone, further = (
        [len(ids) for ids in tokenizer(part, add_special_tokens=False, return_attention_mask=False)["input_ids"]]
        for part in (list(texts), [SEPARATOR + text for text in texts])
    )
    return alone, further, tokenizer.num_special_tokens_to_add(pair=False)
