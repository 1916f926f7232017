"""Paired comparisons: laws, then values by hand."""

import numpy as np
import pytest

from experiments.tables.statistics import compare, detectable, effect_size, holm, signed_rank, t_test

RANDOM = np.random.default_rng(5)


def once(**rows):
    """Rows of a single seed."""
    return {name: {0: values} for name, values in rows.items()}


def step_down(p, level):
    """Holm's procedure as the paper has it: reject the smallest while it is at most level / (number not rejected)."""
    rejected = [False] * len(p)
    for step, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] > level / (len(p) - step):
            break
        rejected[place] = True
    return rejected


@pytest.mark.parametrize("level", [0.01, 0.05, 0.3])
def test_adjusted_p_rejects_what_the_step_down_procedure_rejects(level):
    for size in range(1, 9):
        for _ in range(50):
            p = RANDOM.uniform(0, 0.3, size)
            assert list(holm(p) <= level) == step_down(p, level)


def test_adjusted_p_keeps_the_order_and_is_never_smaller():
    p = RANDOM.uniform(0, 1, 40)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert adjusted.max() <= 1
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_holm_by_hand():
    # Sorted: .005 * 4 = .02; .01 * 3 = .03; .03 * 2 = .06; .04 * 1 = .04, raised to its predecessor's .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_of_one_and_of_none():
    assert holm([0.2]) == pytest.approx([0.2])
    assert len(holm([])) == 0


def test_signed_rank_by_hand():
    # All 5 of one sign: 2 of the 32 patterns of signs are as extreme.
    assert signed_rank(np.array([1.0, 2, 3, 4, 5])) == pytest.approx(2 / 32)
    # Negative ranks sum to 4. Of the 16 subsets of {1, 2, 3, 4} 7 sum to at most 4: {}, 1, 2, 3, 4, 12, 13; two sides.
    assert signed_rank(np.array([1.0, 2, 3, -4])) == pytest.approx(2 * 7 / 16)


def test_queries_on_which_both_do_equally_count_for_nothing():
    assert signed_rank(np.array([0.0, 0, 1, 2, 3, 4, 5, 0])) == pytest.approx(2 / 32)
    assert signed_rank(np.zeros(100)) == 1.0


def test_rows_that_are_equal_are_not_different():
    values = RANDOM.uniform(size=50)
    found = compare(once(a=values, b=values.copy()), "a")["b"]
    assert (found.difference, found.interval, found.p, found.significant) == (0.0, (0.0, 0.0), 1.0, False)


def test_turning_a_comparison_round_turns_its_sign_alone():
    values = once(a=RANDOM.uniform(size=80), b=RANDOM.uniform(size=80) ** 2)
    forth, back = compare(values, "a")["b"], compare(values, "b")["a"]
    assert forth.difference == pytest.approx(-back.difference)
    assert forth.p == pytest.approx(back.p)
    assert forth.interval == pytest.approx((-back.interval[1], -back.interval[0]))


def test_what_makes_a_query_hard_for_all_cancels():
    gain, hardness = RANDOM.normal(0.1, 0.2, 60), RANDOM.normal(0, 5, 60)
    found = compare(once(a=hardness, b=hardness + gain), "a")["b"]
    alone = compare(once(a=np.zeros(60), b=gain), "a")["b"]
    assert found.difference == pytest.approx(alone.difference)
    assert found.interval == pytest.approx(alone.interval)
    assert found.p == pytest.approx(alone.p)


def test_the_interval_covers_the_difference_and_a_constant_one_has_no_width():
    base = RANDOM.uniform(size=40)
    found = compare(once(a=base, b=base + RANDOM.normal(0.2, 0.1, 40), c=base + 0.25), "a")
    assert found["b"].interval[0] < found["b"].difference < found["b"].interval[1]
    assert found["c"].interval == pytest.approx((0.25, 0.25))


def test_more_comparisons_ask_for_more():
    # Alone p = 2 / 64 is below .05; as the smallest of three comparisons it counts threefold.
    zero, up = np.zeros(6), np.arange(1.0, 7)
    noise = np.array([1.0, -1, 2, -2, 3, -3])
    assert compare(once(a=zero, b=up), "a")["b"].significant
    assert compare(once(a=zero, b=up, c=noise, d=-noise), "a")["b"].adjusted == pytest.approx(3 * 2 / 64)


def trained(seeds, queries):
    """A row's hits on the same users, who differ in how hard they are to please; each seed has its own luck."""
    pleased = np.linspace(0.02, 0.5, queries)
    return {seed: (RANDOM.uniform(size=queries) < pleased).astype(float) for seed in seeds}


@pytest.mark.parametrize("seeds", [((0, 1, 2), (0,)), ((0, 1, 2), (0, 1, 2)), ((0, 1, 2), (1, 2, 3))])
def test_rows_without_a_difference_are_rejected_as_often_as_the_level_says(seeds, monkeypatch):
    # 400 tables at a level of .05 reject 20 times, with a deviation of 4.4. A mean over three seeds against a single
    # one would be rejected in about 160 of them.
    monkeypatch.setattr("experiments.tables.statistics.paired_interval", lambda *_, **__: (0.0, 0.0))  # it takes long
    ours, theirs = seeds
    found = [compare({"a": trained(ours, 240), "b": trained(theirs, 240)}, "a")["b"] for _ in range(400)]
    assert 5 <= sum(one.significant for one in found) <= 20 + 4 * 4.4
    assert {one.seeds for one in found} == {len(set(ours) & set(theirs))}


def test_a_comparison_is_that_of_the_common_seeds_alone():
    one, two, three, four = RANDOM.uniform(size=(4, 50))
    mixed = compare({"a": {0: one, 1: two}, "b": {1: three, 2: four}}, "a")["b"]
    assert mixed == compare(once(a=two, b=three), "a")["b"]
    assert mixed.difference == pytest.approx(float((three - two).mean()))


def test_rows_without_a_common_seed_are_not_compared():
    values = RANDOM.uniform(size=(3, 20))
    assert compare({"a": {0: values[0]}, "b": {1: values[1]}, "c": {0: values[2]}}, "a").keys() == {"c"}


def test_effect_t_and_power_by_hand():
    """Differences 1, 2, 3: mean 2, deviation 1, so d_z = 2; t = 2 / (1 / sqrt 3) = 3.4641 with 2 degrees of freedom, of
    which the two-sided p is 1 - t / sqrt(t^2 + 2) = .0742; detectable (1.95996 + .84162) / sqrt 3 = 1.6175."""
    differences = np.array([1.0, 2.0, 3.0])
    assert effect_size(differences) == pytest.approx(2)
    assert t_test(differences) == pytest.approx(1 - 12**0.5 / 14**0.5)
    assert detectable(differences) == pytest.approx(1.61749, abs=1e-5)


def test_equal_rows_have_no_effect_and_a_constant_difference_an_infinite_one():
    assert (effect_size(np.zeros(9)), t_test(np.zeros(9)), detectable(np.zeros(9))) == (0, 1, 0)
    assert (effect_size(np.full(9, -0.5)), t_test(np.full(9, -0.5))) == (-np.inf, 0)
    assert (effect_size(np.array([0.5])), detectable(np.array([0.5]))) == (np.inf, np.inf)


def test_a_detectable_difference_is_found_as_often_as_it_says():
    """Of 2,000 drawn samples of 400 queries, 80% give or take three deviations of a share (.027)."""
    random = np.random.default_rng(3)
    samples = random.normal(size=(2000, 400))
    shift = detectable(samples[0]) / samples[0].std(ddof=1)
    found = np.mean([t_test(sample + shift) < 0.05 for sample in samples])
    assert found == pytest.approx(0.8, abs=0.04)


def test_the_order_of_seeds_moves_nothing_by_rounding():
    """Of thirds: what is equal over all seeds is equal, and equal distances tie, as with whole numbers of hits."""
    generator = np.random.default_rng(0)
    hits = generator.integers(0, 2, (3, 400)).astype(float)
    turned = dict(enumerate(hits[[2, 0, 1]]))
    found = compare({"a": dict(enumerate(hits)), "b": turned}, "a")["b"]
    assert (found.difference, found.p, found.t, found.effect, found.detectable) == (0.0, 1.0, 1.0, 0.0, 0.0)
    other = generator.integers(0, 2, (3, 400)).astype(float)
    found = compare({"a": dict(enumerate(hits)), "b": dict(enumerate(other))}, "a")["b"]
    assert found.p == signed_rank(other.sum(axis=0) - hits.sum(axis=0))
