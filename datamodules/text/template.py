"""Turn items, and where asked what was done with them, into words."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

import numpy as np
from jaxtyping import Int32, Int64

from datamodules.corpus import DataError
from datamodules.preparing.inspection import require_known
from datamodules.preparing.prepared import Prepared

_SEPARATORS = " .,;:|/-"


@dataclass(frozen=True, eq=False)
class TextTable:
    """R texts. Rows 0 .. N-1 are the catalogue in order of item id, which is what candidates are read from; further
    rows are the (item, behaviour) pairs of the data that have a phrase.

    item: the catalogue item of each row. row[behaviour, item] (A behaviours, N items): the row of a history event.
    """

    texts: tuple[str, ...]
    item: Int64[np.ndarray, " R"]
    row: Int32[np.ndarray, "A N"]


class TemplateText:
    """Fill a pattern from the items table.

    pattern: names of fields in braces, "{title}. {categories}"; empty means all fields in order, joined by ". ". A
    field that is null or blank is left out together with the literal words before it. phrases: behaviour -> words that
    follow the item's text in a history ("watched to the end"); a text cut at max_tokens loses them first. Behaviours
    without a phrase are not put into words, and candidates never carry one. missing: words for an item without any
    text; None raises `DataError` for it, with file and line. max_tokens: where the tokeniser cuts, special tokens
    included.
    """

    def __init__(
        self,
        pattern: str = "",
        phrases: Mapping[str, str] | None = None,
        missing: str | None = None,
        max_tokens: int = 64,
    ) -> None:
        if max_tokens < 3:
            raise ValueError(
                f"text.max_tokens is {max_tokens}; at least 3 leave room for one word between two special tokens"
            )
        self.pattern, self.phrases, self.missing, self.max_tokens = pattern, dict(phrases or {}), missing, max_tokens
        self._parts = _parse(pattern)

    def __call__(self, prepared: Prepared) -> TextTable:
        """All texts of a prepared corpus. Raises `DataError` for unknown fields and behaviours and for items without
        text."""
        texts = self._catalogue(prepared)
        n_items, n_behaviours = len(texts), len(prepared.behaviours)
        row = np.tile(np.arange(n_items, dtype=np.int32), (n_behaviours, 1))
        behaviour, item = np.divmod(self._verbalised(prepared), n_items)
        row[behaviour, item] = np.arange(n_items, n_items + len(item), dtype=np.int32)
        told = [f"{texts[i]}, {self.phrases[prepared.behaviours[b]]}" for b, i in zip(behaviour, item, strict=True)]
        return TextTable((*texts, *told), np.concatenate([np.arange(n_items), item]), row)

    def _verbalised(self, prepared: Prepared) -> np.ndarray:
        """behaviour * N + item of the pairs that occur and have a phrase, ascending."""
        for name in self.phrases:
            require_known(name, prepared.behaviours[1:], "text.phrases", f"behaviours of {prepared.name!r}")
        told = [i for i, name in enumerate(prepared.behaviours) if self.phrases.get(name)]
        mine = np.isin(prepared.behaviour, told)
        return np.unique(prepared.behaviour[mine].astype(np.int64) * prepared.items.num_rows + prepared.item[mine])

    def _catalogue(self, prepared: Prepared) -> list[str]:
        parts = self._parts or [(". " if place else "", field) for place, field in enumerate(prepared.fields)]
        names = [field for _, field in parts if field is not None]
        for name in names:
            require_known(name, prepared.fields, "text.pattern", f"fields of {prepared.name!r}")
        if not names:
            raise DataError(
                f"items of {prepared.name!r} have no text fields; choose a backbone that reads ids (item_id)"
            )
        columns = {name: prepared.items[name].to_pylist() for name in names}
        rows = range(prepared.items.num_rows)
        texts = [_fill(parts, {name: column[i] for name, column in columns.items()}) for i in rows]
        return [text or self._words_for_none(prepared, i, names) for i, text in enumerate(texts)]

    def _words_for_none(self, prepared: Prepared, item: int, names: list[str]) -> str:
        if self.missing:
            return self.missing
        raise DataError(
            f"item {prepared.item_keys[item]!r} has no text ({', '.join(dict.fromkeys(names))}: empty); add some, or "
            "give words for such items: text.missing='unknown item'",
            file=prepared.items["file"][item].as_py(),
            line=prepared.items["line"][item].as_py(),
        )


def _parse(pattern: str) -> list[tuple[str, str | None]]:
    """(literal words, field that follows them or None) in order."""
    try:
        pieces = list(Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"text.pattern {pattern!r} does not parse: {error}; write fields as {{title}}") from error
    for _, field, specification, conversion in pieces:
        if field is not None and (not field.isidentifier() or specification or conversion):
            raise ValueError(
                f"text.pattern {pattern!r} has a placeholder that is no bare name; write fields as {{title}}"
            )
    if pattern and all(field is None for _, field, _, _ in pieces):
        raise ValueError(
            f"text.pattern {pattern!r} names no field: all items would read alike; write fields as {{title}}"
        )
    return _merged([(literal, field) for literal, field, _, _ in pieces])


def _merged(pieces: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """An escaped brace ends a piece of its own; its words belong to the field that follows."""
    parts: list[tuple[str, str | None]] = []
    words = ""
    for literal, field in pieces:
        words += literal
        if field is not None:
            parts.append((words, field))
            words = ""
    return [*parts, (words, None)] if words else parts


def _fill(parts: list[tuple[str, str | None]], values: Mapping[str, str | None]) -> str:
    """The filled pattern with white space collapsed, or "" where every field is empty."""
    words = ""
    for place, (literal, field) in enumerate(parts):
        value = None if field is None else (values[field] or "").strip()
        if value:  # where the fields before it are empty, nothing is left to separate it from
            words += (literal.lstrip(_SEPARATORS) if place and not words else literal) + value
        elif field is None and words:
            words += literal
    return " ".join(words.split())
