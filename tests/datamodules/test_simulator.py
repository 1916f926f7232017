"""The simulated world obeys its own description: the truth is the distribution that the events were drawn from."""

import numpy as np
import pytest

from datamodules.corpus import INTERACTIONS
from datamodules.simulation.catalogue import make_catalogue
from datamodules.simulation.stream import AFTER_LAUNCH, LAUNCH, draw_items
from datamodules.sources.simulator import SimulatorSource


@pytest.fixture(scope="module")
def world():
    return SimulatorSource(users=1500, items=200, events=12).load()


def per_user(corpus):
    """Rows of each user, oldest first."""
    rows = {}
    for row, user in enumerate(corpus.interactions["user"].to_pylist()):
        rows.setdefault(user, []).append(row)
    return list(rows.values())


def item_numbers(corpus):
    return np.array([int(key[1:]) for key in corpus.interactions["item"].to_pylist()])


def ranking(world, score):
    """Rank of each user's last item among those that the user had not had; ties against."""
    items, ranks = item_numbers(world), []
    for rows in per_user(world):
        scores = score(rows).copy()
        scores[items[rows[:-1]]] = -np.inf
        ranks.append((scores >= scores[items[rows[-1]]]).sum())
    return np.array(ranks)


def test_equal_settings_give_equal_worlds_and_another_seed_another():
    first, again, other = (SimulatorSource(users=30, items=60, events=8, seed=seed).load() for seed in (0, 0, 1))
    assert first.interactions.equals(again.interactions)
    assert first.items.equals(again.items)
    assert np.array_equal(first.truth.mixture, again.truth.mixture)
    assert not first.interactions.equals(other.interactions)


def test_the_log_is_in_order_of_time_and_complete(world):
    log = world.interactions
    assert log.schema == INTERACTIONS
    times = log["time"].to_numpy()
    assert (np.diff(times) >= 0).all()
    assert set(log["behaviour"].unique().to_pylist()) == {"browse", "click", "watch", "buy"}
    assert (log["strength"].to_numpy() > 0).all()
    assert len(world.items) == 200
    assert len(per_user(world)) == 1500


def test_rows_of_the_truth_are_distributions(world):
    truth = world.truth
    assert truth.mixture.shape == (world.interactions.num_rows, 13)
    assert truth.topics.shape == (13, 200)
    np.testing.assert_allclose(truth.mixture.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(truth.topics.sum(axis=1), 1, atol=1e-12)
    assert truth.mixture.min() >= 0
    assert truth.topics.min() >= 0


def test_nobody_has_an_item_twice(world):
    items = item_numbers(world)
    assert all(len(set(items[rows])) == len(rows) for rows in per_user(world))


def test_cold_items_appear_after_the_launch_alone_and_each_user_has_two_events_there(world):
    items, times = item_numbers(world), world.interactions["time"].to_numpy()
    train = np.concatenate([items[rows[:-AFTER_LAUNCH]] for rows in per_user(world)])
    never = np.bincount(train, minlength=200) == 0
    assert never.sum() == 20  # a tenth of 200
    assert times[never[items]].min() > LAUNCH
    after = [int((times[rows] > LAUNCH).sum()) for rows in per_user(world)]
    assert set(after) == {AFTER_LAUNCH}


def test_the_last_events_are_drawn_from_the_masked_truth(world):
    """Observed less expected count of each group of items, in deviations of a sum of independent draws."""
    items, truth = item_numbers(world), world.truth
    expected = []
    for rows in per_user(world):
        p = truth.mixture[rows[-1]] @ truth.topics
        p[items[rows[:-1]]] = 0
        expected.append(p / p.sum())
    expected = np.array(expected)
    observed = np.bincount(items[[rows[-1] for rows in per_user(world)]], minlength=200)
    for group in np.array_split(np.argsort(-expected.sum(axis=0)), 8):
        share = expected[:, group].sum(axis=1)
        deviation = np.sqrt((share * (1 - share)).sum())
        assert abs(observed[group].sum() - share.sum()) < 4 * deviation


def test_rejection_equals_the_distribution_written_out():
    rng = np.random.default_rng(0)
    catalogue = make_catalogue(rng, items=24, interests=3, skew=1.0, cold=0.25)
    mixture = np.tile([0.6, 0.1, 0.1, 0.2], (40_000, 1))
    had = np.tile(np.argsort(-catalogue.topics[0])[:5], (40_000, 1))  # the favourites are gone: many refusals
    for launched in (False, True):
        p = mixture[0] @ catalogue.topics
        p[had[0]] = 0
        p[catalogue.cold & (not launched)] = 0
        p /= p.sum()
        drawn = draw_items(rng, catalogue, mixture, had, np.full(40_000, launched))
        found = np.bincount(drawn, minlength=24) / 40_000
        assert (np.abs(found - p) <= 4.5 * np.sqrt(p * (1 - p) / 40_000)).all()


def test_users_with_one_item_left_get_it():
    catalogue = make_catalogue(np.random.default_rng(0), items=24, interests=3, skew=2.0, cold=0.0)
    rare = int(np.argmin(catalogue.topics[0]))
    had = np.delete(np.arange(24), rare)[None].repeat(3, axis=0)
    mixture = np.tile([1.0, 0.0, 0.0, 0.0], (3, 1))
    catalogue.topics[0, rare] = max(catalogue.topics[0, rare], 1e-9)
    drawn = draw_items(np.random.default_rng(1), catalogue, mixture, had, np.ones(3, dtype=bool))
    assert drawn.tolist() == [rare] * 3


def test_the_oracle_is_far_above_popularity_and_ranks_cold_items(world):
    items, truth = item_numbers(world), world.truth
    train = np.concatenate([items[rows[:-AFTER_LAUNCH]] for rows in per_user(world)])
    popularity = np.bincount(train, minlength=200).astype(float)
    cold = popularity[items[[rows[-1] for rows in per_user(world)]]] == 0
    oracle = ranking(world, lambda rows: truth.mixture[rows[-1]] @ truth.topics) <= 10
    popular = ranking(world, lambda _: popularity) <= 10
    assert oracle.mean() > 2 * popular.mean()
    assert cold.sum() > 100
    assert popular[cold].sum() == 0
    assert oracle[cold].mean() > 0.3


def test_no_shift_of_the_truth_beats_the_oracle(world):
    """Law 9, its second half."""
    truth = world.truth
    oracle = ranking(world, lambda rows: truth.mixture[rows[-1]] @ truth.topics) <= 10
    earlier = ranking(world, lambda rows: truth.mixture[rows[-4]] @ truth.topics) <= 10
    assert oracle.mean() > earlier.mean()


def test_behaviour_and_dwell_tell_how_well_an_item_fits(world):
    truth, items = world.truth, item_numbers(world)
    share = truth.mixture[:, :-1] / truth.mixture[:, :-1].sum(axis=1, keepdims=True)
    about = (truth.topics[:-1] / truth.topics[:-1].sum(axis=0)).T
    fit = (share * about[items]).sum(axis=1)
    behaviour = np.array(world.interactions["behaviour"].to_pylist())
    by_kind = [fit[behaviour == kind].mean() for kind in ("browse", "click", "watch", "buy")]
    assert by_kind == sorted(by_kind)
    watched = behaviour == "watch"
    seconds = np.log(world.interactions["strength"].to_numpy())
    assert np.corrcoef(fit[watched], seconds[watched])[0, 1] > 0.3


def test_popularity_is_skewed(world):
    counts = np.sort(np.bincount(item_numbers(world), minlength=200))[::-1]
    assert counts[:20].sum() > 2.5 * counts[100:120].sum()


def test_titles_differ_and_every_item_has_text():
    items = SimulatorSource(users=1, items=3000).load().items
    assert len(items["title"].unique()) == 3000
    assert items["description"].null_count == 0


@pytest.mark.parametrize("items", [20, 37])
def test_small_worlds_of_any_number_of_interests_work(items):
    for interests in (2, 3, 12):
        world = SimulatorSource(users=7, items=items, interests=interests, events=6, cold=0.2).load()
        assert world.truth.topics.shape == (interests + 1, items)
        assert min(len(rows) for rows in per_user(world)) >= 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interests": 13}, "interests is 13, expected 2 to 12, as many as there are topics"),
        ({"events": 5}, "events is 5, expected 6 to 135"),
        ({"items": 30, "events": 20}, "events is 20, expected 6 to 13"),
        ({"cold": 0.9}, "cold is 0.9, expected 0 to 0.5"),
        ({"background": -0.1}, "background is -0.1, expected 0 to 1"),
        ({"users": 0}, "users is 0, expected 1"),
    ],
)
def test_settings_out_of_range_name_value_and_limit(settings, message):
    with pytest.raises(ValueError, match=message):
        SimulatorSource(**settings)
