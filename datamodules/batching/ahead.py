"""Batches that are ready, in memory that a GPU can copy from by itself, before they are asked for."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

from torch import Tensor

AHEAD = 2
"""How many batches are kept ready."""

Given = TypeVar("Given")


def read_ahead(batches: Iterator[Given]) -> Iterator[Given]:
    """The same batches, made by a thread while those before them are in use. What making one raises, asking raises."""
    end = object()
    with ThreadPoolExecutor(1) as reader:
        ready = deque(reader.submit(next, batches, end) for _ in range(AHEAD))
        while (batch := ready.popleft().result()) is not end:
            ready.append(reader.submit(next, batches, end))
            yield batch  # type: ignore[misc]  # it is not `end`


def pinned(record: Given) -> Given:
    """A record of records of tensors, all of them in page-locked memory."""
    if isinstance(record, Tensor):
        return cast(Given, record.pin_memory())
    if not is_dataclass(record) or isinstance(record, type):
        return record
    return replace(record, **{field.name: pinned(getattr(record, field.name)) for field in fields(record)})
