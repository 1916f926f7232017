"""Find items by what a person types: keys or titles."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cached_property

import numpy as np

from datamodules.corpus import DataError
from datamodules.preparing.prepared import Prepared

TITLES = ("title", "name")
"""Text fields that name an item, the first of them that the corpus has; else its first field, else the item's key."""

SHOWN = 5
"""How many near misses a message lists."""


class Catalogue:
    """The items of a prepared corpus, by catalogue id."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """Title of each item; its key where it has none."""
        fields = self.prepared.fields
        field = next((name for name in TITLES if name in fields), fields[0] if fields else "item")
        named = self.prepared.items[field].to_pylist()
        return tuple(title or key for title, key in zip(named, self.prepared.item_keys, strict=True))

    def by_key(self, keys: Sequence[str]) -> tuple[list[int], list[str]]:
        """(ids of the known keys, the unknown keys), each in the given order. Raises `DataError` where none is
        known."""
        known = [self._id_of_key[key] for key in keys if key in self._id_of_key]
        unknown = [key for key in keys if key not in self._id_of_key]
        if not keys:
            raise DataError("the history is empty; name at least one item")
        if not known:
            some = ", ".join(self.prepared.item_keys[:SHOWN])
            raise DataError(
                f"no item of the history is in {self.prepared.name}: {listed(unknown)}; ids there look like {some}"
            )
        return known, unknown

    def by_title(self, title: str) -> int:
        """The item that a title means: the same words; else the same up to a bracket at the end, such as a year; else
        the only title that begins with them; else the only one that holds them. Case and spaces do not count.

        Raises `DataError` that lists what was meant perhaps, where no title fits or several do.
        """
        wanted = _plain(title)
        if not wanted:
            raise DataError("a title is empty; write words of it")
        for fits in (str.__eq__, _same_but_bracket, str.startswith, str.__contains__):
            found = [item for item, words in enumerate(self._words) if fits(words, wanted)]
            if len(found) == 1:
                return found[0]
            if found:
                found.sort(key=lambda item: -self._events[item])
                raise DataError(f"title {title!r} fits {len(found)} items: {self._named(found)}; write more of it")
        near = get_close_matches(wanted, self._words, n=SHOWN, cutoff=0.4)
        places = [self._words.index(words) for words in near]
        hint = f"the nearest are {self._named(places)}" if near else "no title is near"
        raise DataError(f"no title in {self.prepared.name} is or holds {title!r}; {hint}")

    @cached_property
    def _id_of_key(self) -> dict[str, int]:
        return {key: item for item, key in enumerate(self.prepared.item_keys)}

    @cached_property
    def _events(self) -> list[int]:
        return np.bincount(self.prepared.item, minlength=self.prepared.items.num_rows).tolist()

    @cached_property
    def _words(self) -> list[str]:
        return [_plain(title) for title in self.titles]

    def _named(self, items: list[int]) -> str:
        keys = self.prepared.item_keys
        return listed([f"{self.titles[item]!r} (id {keys[item]})" for item in items])


def listed(words: Iterable[str], most: int = SHOWN) -> str:
    """The first few, and how many more there are."""
    words = list(words)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())


def _same_but_bracket(words: str, wanted: str) -> bool:
    return re.sub(r" ?\([^()]*\)$", "", words) == wanted
