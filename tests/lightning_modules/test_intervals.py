"""Intervals cover as often as they say, and agree with theory where there is some."""

import numpy as np
import pytest

from lightning_modules import intervals
from lightning_modules.intervals import mean_interval, paired_interval, resampled_means, table_intervals


def test_95_percent_of_intervals_hold_the_true_mean():
    """400 samples of 100 hits with chance .3; 95% of 400 is 380, and 2.3 binomial deviations of 4.4 are 10."""
    random = np.random.default_rng(1)
    samples = random.random((400, 100)) < 0.3
    found = np.array([mean_interval(sample.astype(float), resamples=400, seed=i) for i, sample in enumerate(samples)])
    assert 370 <= ((found[:, 0] <= 0.3) & (found[:, 1] >= 0.3)).sum() <= 390


def test_a_large_sample_has_the_interval_of_the_normal_law():
    values = np.random.default_rng(2).exponential(size=20_000)
    error = values.std() / np.sqrt(len(values))
    expected = [values.mean() - 1.96 * error, values.mean() + 1.96 * error]
    np.testing.assert_allclose(mean_interval(values, resamples=2000), expected, atol=0.15 * error)


def test_pairing_removes_what_both_share():
    random = np.random.default_rng(3)
    hard = random.normal(size=2_000)
    ours, theirs = hard + 0.1 + random.normal(size=2_000) / 10, hard
    low, high = paired_interval(ours, theirs)
    assert 0.09 < low < 0.1 < high < 0.11
    single = mean_interval(ours)
    assert high - low < (single[1] - single[0]) / 5
    assert paired_interval(theirs, ours) == pytest.approx((-high, -low), abs=5e-4)


def test_a_model_does_not_differ_from_itself():
    values = np.random.default_rng(4).random(50)
    assert paired_interval(values, values) == (0, 0)


def test_a_table_has_the_interval_of_each_metric_alone():
    random = np.random.default_rng(5)
    facts = {"query": np.arange(300), "user": np.full(300, "u")}
    table = facts | {"hr@10": random.random(300), "mrr@10": random.random(300)}
    found = table_intervals(table, "test", resamples=200)
    assert list(found) == ["test/hr@10", "test/mrr@10"]
    for name in ("hr@10", "mrr@10"):
        assert found[f"test/{name}"] == pytest.approx(mean_interval(table[name], resamples=200), rel=1e-12)


def test_the_seed_decides_and_the_memory_bound_does_not(monkeypatch):
    values = np.random.default_rng(6).random((70, 2))
    whole = resampled_means(values, 100, seed=1)
    assert (whole != resampled_means(values, 100, seed=2)).any()
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 210)
    np.testing.assert_allclose(resampled_means(values, 100, seed=1), whole, rtol=1e-12)


def test_one_value_or_equal_values_leave_no_doubt():
    assert mean_interval(np.array([0.25])) == (0.25, 0.25)
    assert mean_interval(np.full(30, 0.5)) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("values", [np.array([]), np.array([0.5, np.nan])])
def test_values_without_a_mean_are_refused(values):
    with pytest.raises(ValueError, match="at least one value and finite ones"):
        mean_interval(values)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match=r"level=95\.0: .* such as 0\.95"):
        mean_interval(np.ones(3), level=95.0)
    with pytest.raises(ValueError, match="the same queries on both sides, not 3 and 2"):
        paired_interval(np.ones(3), np.ones(2))
