"""What queries are scored against, and the probability that sampling put it there."""

from math import log
from pathlib import Path

import numpy as np
import pytest
import yaml

from datamodules.batching.examples import CandidateSampler
from datamodules.batching.inclusion import log_inclusion
from datamodules.candidates.full import FullCandidates
from datamodules.candidates.sampled import SampledCandidates
from experiments.config.instantiate import instantiate

CONF = Path(__file__).resolve().parents[2] / "conf" / "candidates"
CHOICES = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted(CONF.glob("*.yaml"))}
COUNTS = np.array([5, 0, 1, 4, 0, 10, 20, 0])


def drawn(name, seed=0, **settings):
    sampler = instantiate(CHOICES[name] | settings)
    assert isinstance(sampler, CandidateSampler)
    return sampler(np.array([2, 5, 6]), 9, COUNTS, np.random.default_rng(seed))


def test_every_choice_was_found():
    assert len(CHOICES) >= 3


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_candidates_hold_the_batch_ascend_and_have_probabilities(name):
    ids, log_q = drawn(name)
    assert (np.diff(ids) > 0).all()
    assert set(ids) >= {2, 5, 6}
    assert ids.max() < len(COUNTS)
    assert log_q.shape == ids.shape
    assert np.isfinite(log_q).all()
    assert (log_q <= 0).all()


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_the_same_generator_draws_the_same(name):
    first, second = drawn(name), drawn(name)
    assert first[0].tolist() == second[0].tolist()
    assert first[1].tolist() == second[1].tolist()


def test_the_whole_catalogue_needs_no_correction():
    ids, log_q = drawn("full")
    assert ids.tolist() == list(range(8))
    assert log_q.tolist() == [0] * 8


def test_the_batch_is_its_items():
    ids, log_q = drawn("batch")
    assert ids.tolist() == [2, 5, 6]
    # Shares 1/40, 10/40, 20/40, nine draws.
    np.testing.assert_allclose(log_q, [log(1 - (39 / 40) ** 9), log(1 - 0.75**9), log(1 - 0.5**9)])


def test_sampled_adds_to_the_batch_and_never_more_than_there_is():
    found = {tuple(drawn("sampled", seed, extra=2)[0]) for seed in range(40)}
    assert {len(ids) for ids in found} == {3, 4, 5}
    assert {item for ids in found for item in ids} == set(range(8))
    ids, log_q = drawn("sampled", extra=100)
    assert (ids.tolist(), log_q.round(9).tolist()) == (list(range(8)), [0] * 8)


def test_inclusion_by_hand():
    # Not drawn in three by share 1/2: 1/8. Nor by the uniform sample of a quarter: 1/8 x 3/4 = 3/32.
    np.testing.assert_allclose(log_inclusion(np.array([0.5]), 3), [log(7 / 8)])
    np.testing.assert_allclose(log_inclusion(np.array([0.5]), 3, 0.25), [log(29 / 32)])
    # What is rare is drawn about draws x share times: no loss of digits.
    np.testing.assert_allclose(log_inclusion(np.array([1e-9]), 10), [log(1e-8)], rtol=1e-6)
    np.testing.assert_allclose(log_inclusion(np.array([1.0]), 1), [0], atol=1e-9)
    assert np.isfinite(log_inclusion(np.array([0.0]), 5)).all()


def test_inclusion_is_how_often_an_item_is_there():
    rng, rounds, extra, draws = np.random.default_rng(0), 4000, 3, 6
    share, sampler = COUNTS / COUNTS.sum(), SampledCandidates(extra)
    there, claimed = np.zeros(8), np.zeros(8)
    for _ in range(rounds):
        touched = rng.choice(8, size=draws, p=share)
        ids, log_q = sampler(np.unique(touched), draws, COUNTS, rng)
        there[ids] += 1
        claimed[ids] = np.exp(log_q)
    np.testing.assert_allclose(there / rounds, claimed, atol=4 * 0.5 / rounds**0.5)


def test_too_much_to_read_at_every_step_is_refused_with_the_arithmetic():
    FullCandidates(1000).check(1000)
    with pytest.raises(ValueError, match=r"12,345 tokens.* limit candidates.max_tokens is 1,000.*candidates=sampled"):
        FullCandidates(1000).check(12_345)
    with pytest.raises(ValueError, match="extra is 0; use candidates=batch"):
        SampledCandidates(0)
