"""Reading ahead changes when a batch is made, and nothing else."""

import threading
from dataclasses import dataclass

import pytest
import torch

from datamodules.batching.ahead import AHEAD, pinned, read_ahead
from tests.datamodules.small_module import epoch, small_module
from tests.datamodules.test_loaders import told


def test_reading_ahead_changes_neither_order_nor_end():
    made = []

    def source():
        for number in range(6):
            made.append(number)
            yield number

    reading = read_ahead(source())
    assert next(reading) == 0
    assert len(made) <= 1 + AHEAD
    assert list(reading) == [1, 2, 3, 4, 5]
    assert list(read_ahead(iter(()))) == []


def test_what_reading_ahead_meets_is_raised_where_it_is_asked_for():
    def source():
        yield 1
        raise ValueError("no third batch")

    reading = read_ahead(source())
    assert next(reading) == 1
    with pytest.raises(ValueError, match="no third batch"):
        next(reading)


def test_a_reader_that_nobody_asks_any_more_stops():
    before = threading.active_count()
    reading = read_ahead(iter(range(1000)))
    next(reading)
    reading.close()
    assert threading.active_count() == before


@dataclass
class Inner:
    values: torch.Tensor
    nothing: None = None


@dataclass
class Outer:
    inner: Inner
    values: torch.Tensor
    number: int = 3


def test_every_tensor_of_a_batch_is_pinned(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: seen.append(tensor) or tensor.clone())
    record = Outer(Inner(torch.arange(2)), torch.ones(1))
    copy = pinned(record)
    assert [id(tensor) for tensor in seen] == [id(record.inner.values), id(record.values)]
    assert (copy.number, copy.inner.nothing, copy.inner.values.tolist()) == (3, None, [0, 1])
    batch = epoch(small_module(tmp_path))[0]
    assert told([pinned(batch)]) == told([batch])
    assert len(seen) > 10
