"""Law 3 in the data: nothing fitted on interactions sees validation or test.

Two corpora differ in the last two events of each user alone, which leave-one-out holds out: in items, times, strengths
and behaviours, two of which occur nowhere else. What training sees must be equal, bit for bit.
"""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.batching.log import kinds_of, known_behaviours, standardised, training_mask
from datamodules.candidates.sampled import SampledCandidates
from datamodules.splits.given import GivenSplit
from datamodules.splits.temporal import TemporalSplit
from lightning_modules.parts.prior import make_prior
from tests.datamodules.small_corpus import FixedSource, corpus
from tests.datamodules.small_module import epoch, small_module

KEYS = [f"i{k:02}" for k in range(30)]


def world(later):
    """15 users of 4 to 12 events; `later` seeds the last two of each. "aaa" sorts before all kinds of training."""
    fixed, free = np.random.default_rng(0), np.random.default_rng(later)
    events = []
    for user in range(15):
        count = int(fixed.integers(4, 13))
        for k in range(count):
            rng = free if k >= count - 2 else fixed
            kinds = ["aaa", "view", "zzz"] if k >= count - 2 else ["buy", "view"]
            item, kind = KEYS[int(rng.integers(30))], str(rng.choice(kinds if later else kinds[-2:]))
            events.append(
                (f"u{user:02}", item, 100.0 * k + float(rng.integers(99)), kind, float(rng.integers(9)), None)
            )
    return FixedSource(corpus(events, keys=KEYS), setting=str(later))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    root = tmp_path_factory.mktemp("leak")
    made = [small_module(root, world(later), candidates=SampledCandidates(5), users_per_step=4) for later in (0, 1)]
    assert made[0].prepared.digest != made[1].prepared.digest
    assert made[0].prepared.behaviours != made[1].prepared.behaviours
    return made


def tensors(record):
    """Every tensor in a record of records."""
    if isinstance(record, Tensor):
        return [record]
    return [t for f in fields(record) for t in tensors(getattr(record, f.name))] if is_dataclass(record) else []


def test_counts_priors_and_vocabulary_know_training_alone(pair):
    first, second = pair
    assert torch.equal(first.item_counts, second.item_counts)
    assert int(first.item_counts.sum()) == int((first.log.train_stop - first.log.offsets[:-1]).sum())
    assert first.log.behaviours == second.log.behaviours == ("", "buy", "view")
    priors = [make_prior("popularity", data.item_counts).log_share for data in pair]
    assert torch.equal(*priors)
    logs = [data.log.training() for data in pair]
    assert torch.equal(logs[0].item, logs[1].item)
    assert torch.equal(logs[0].offsets, logs[1].offsets)


def test_strength_is_measured_in_training_alone(pair):
    for first, second in zip(*(training_events(data) for data in pair), strict=True):
        np.testing.assert_array_equal(first, second)


def training_events(data):
    inside = training_mask(data.log.offsets, data.log.train_stop)
    return [column[inside] for column in (data.log.item, data.log.behaviour, data.log.strength, data.log.time)]


def test_batches_of_two_epochs_are_equal_bit_for_bit(pair):
    for number in (0, 1):
        batches = [epoch(data, number) for data in pair]
        assert len(batches[0]) == len(batches[1]) > 2
        for first, second in zip(*batches, strict=True):
            assert len(tensors(first)) >= 13
            assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))


def test_what_is_asked_in_the_test_does_differ(pair):
    """Or the tests above would compare a corpus with itself."""
    blocks = [data.blocks("test")[0] for data in pair]
    assert not torch.equal(blocks[0].positives, blocks[1].positives)


def test_a_kind_that_training_never_shows_is_unknown(pair):
    data = pair[1]
    held = ~training_mask(data.log.offsets, data.log.train_stop)
    names = np.array(data.prepared.behaviours)[data.prepared.behaviour]
    assert {"aaa", "zzz"} <= set(names[held])
    assert (data.log.behaviour[np.isin(names, ["aaa", "zzz"])] == 0).all()
    assert (np.array(data.log.behaviours)[data.log.behaviour][names == "view"] == "view").all()


@pytest.mark.parametrize("split", ["temporal", "given"])
def test_under_every_split_a_query_never_sees_its_answers(split, tmp_path):
    rng = np.random.default_rng(1)
    marks = ["train"] * 6 + ["valid", "test"]
    events = [
        (f"u{u}", KEYS[int(rng.integers(30))], 10.0 * k + u / 20, "view", None, marks[k])
        for u in range(20)
        for k in range(8)
    ]
    chosen = {"temporal": TemporalSplit(0.2, 0.2), "given": GivenSplit()}[split]
    data = small_module(tmp_path, FixedSource(corpus(events, keys=KEYS)), split=chosen)
    inside = training_mask(data.log.offsets, data.log.train_stop)
    for name in ("valid", "test"):
        queries = data.split_of.queries[name]
        owner = np.repeat(np.arange(len(queries.user)), np.diff(queries.offsets))
        assert len(owner) > 0
        assert (queries.events >= queries.stop[owner]).all()
        assert not inside[queries.events].any()
    assert (data.examples.target < data.log.train_stop[data.examples.user].repeat(np.diff(data.examples.offsets))).all()


def test_statistics_by_hand():
    # Training events: strengths 0 and e^2 - 1, so log(1 + x) is 0 and 2: mean 1, deviation 1. The third is held out.
    strength = np.array([0.0, np.expm1(2.0), np.expm1(4.0), np.nan], dtype=np.float32)
    train = np.array([True, True, False, True])
    np.testing.assert_allclose(standardised(strength, train), [-1, 1, 3, 0], atol=1e-6)
    # A negative training value: no logarithm. Mean 0, deviation 2.
    np.testing.assert_allclose(standardised(np.array([-2.0, 2.0, 4.0]), np.array([True, True, False])), [-1, 1, 2])
    np.testing.assert_array_equal(standardised(np.array([np.nan, 5.0]), np.array([True, False])), [0, 0])
    np.testing.assert_array_equal(standardised(np.array([5.0, 5.0]), np.array([True, True])), [0, 0])


def test_kinds_by_hand():
    behaviour, train = np.array([3, 1, 2, 0, 3]), np.array([True, False, False, True, True])
    assert kinds_of(behaviour, train).tolist() == [0, 3]
    assert known_behaviours(behaviour, train).tolist() == [1, 0, 0, 0, 1]


def test_the_training_mask_by_hand():
    # Users own 0:3, 3:3 (nothing), 3:5; training ends at 2, 3 and 5.
    assert training_mask(np.array([0, 3, 3, 5]), np.array([2, 3, 5])).tolist() == [True, True, False, True, True]
