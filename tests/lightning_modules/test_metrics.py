"""Law 7. Metrics: what holds for any ranking, values by hand, and scikit-learn's."""

import math

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate
from sklearn.metrics import ndcg_score

from datamodules.types import Ranking
from lightning_modules.metrics.hit_rate import HitRateMetric
from lightning_modules.metrics.mrr import MrrMetric
from lightning_modules.metrics.ndcg import NdcgMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.metrics.recall import RecallMetric

KINDS = [HitRateMetric, RecallMetric, NdcgMetric, MrrMetric]
SECOND = 1 / math.log2(3)  # what rank 2 is worth; rank 1 is worth 1 and rank 3 is worth 1 / log2(4) = 1/2


def ranking(ranks, values=None):
    ranks = torch.tensor(ranks, dtype=torch.long)
    worth = (ranks > 0).float() if values is None else torch.tensor(values)
    empty = torch.empty(len(ranks), 0)
    numbers = torch.arange(len(ranks))
    return Ranking(numbers, ranks, worth, torch.full_like(numbers, 100), empty.long(), empty)


def random_ranking(seed, queries=50, positives=6, items=40):
    """Distinct ranks, graded values, and rows with 0 to 6 positives."""
    random = torch.Generator().manual_seed(seed)
    ranks = torch.rand(queries, items, generator=random).argsort(dim=1)[:, :positives] + 1
    known = torch.rand(queries, positives, generator=random) < 0.5
    values = torch.randint(1, 5, (queries, positives), generator=random).float()
    return ranking((ranks * known).tolist(), (values * known).tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 3, 10, 100])
def test_a_value_lies_between_0_and_1_and_ignores_the_order_and_padding_of_positives(kind, k):
    given = random_ranking(seed=k)
    found = kind(k)(given)
    assert ((found >= 0) & (found <= 1 + 1e-6)).all()
    order = [5, 2, 0, 1, 4, 3]
    turned = ranking(given.ranks[:, order].tolist(), given.values[:, order].tolist())
    padded = ranking([[*row, 0] for row in given.ranks.tolist()], [[*row, 0.0] for row in given.values.tolist()])
    assert torch.equal(kind(k)(turned), found)
    assert torch.equal(kind(k)(padded), found)


@pytest.mark.parametrize("kind", [HitRateMetric, RecallMetric, MrrMetric])
def test_a_longer_list_never_scores_less(kind):
    given = random_ranking(seed=1)
    values = torch.stack([kind(k)(given) for k in range(1, 41)])
    assert (values.diff(dim=0) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_without_positives_gets_0(kind):
    assert kind(10)(ranking([[0, 0], [0, 0]])).tolist() == [0, 0]
    assert kind(10)(ranking([[], []])).tolist() == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_needs_an_item(kind):
    with pytest.raises(ValueError, match="k=0: a metric looks at a list of at least 1 item"):
        kind(0)


def test_names_carry_the_cutoff():
    assert [kind(20).name for kind in KINDS] == ["hr@20", "recall@20", "ndcg@20", "mrr@20"]


@pytest.mark.parametrize(
    ("ranks", "k", "hit", "recall", "ndcg", "mrr"),
    [
        ([1], 1, 1, 1, 1, 1),
        ([3], 5, 1, 1, 1 / 2, 1 / 3),
        ([3], 2, 0, 0, 0, 0),
        ([5], 5, 1, 1, 1 / math.log2(6), 1 / 5),  # the last place of the list still counts
        ([3, 1], 3, 1, 1, (1 + 1 / 2) / (1 + SECOND), 1),  # the best positive need not stand in the first column
        ([3, 1], 2, 1, 1 / 2, 1 / (1 + SECOND), 1),
        ([1, 2, 3], 2, 1, 2 / 3, 1, 1),  # more positives than places: recall cannot reach 1, NDCG can
        ([2, 40, 0], 10, 1, 1 / 2, SECOND / (1 + SECOND), 1 / 2),  # a padded positive is none
    ],
)
def test_values_by_hand(ranks, k, hit, recall, ndcg, mrr):
    found = [float(kind(k)(ranking([ranks]))) for kind in KINDS]
    assert found == pytest.approx([hit, recall, ndcg, mrr])


def test_gain_is_the_value_itself():
    # Worth 1 on rank 1 and worth 3 on rank 3: DCG = 1 + 3/2. Ideal: 3 on rank 1 and 1 on rank 2.
    found = NdcgMetric(3)(ranking([[1, 3]], [[1.0, 3.0]]))
    assert float(found) == pytest.approx((1 + 3 / 2) / (3 + SECOND))


def test_positives_worth_nothing_give_0():
    assert NdcgMetric(3)(ranking([[1, 2]], [[0.0, 0.0]])).tolist() == [0]


@pytest.mark.parametrize("k", [1, 5, 20])
def test_graded_ndcg_equals_that_of_scikit_learn(k):
    random = np.random.default_rng(k)
    worth = random.integers(0, 5, size=(30, 25)).astype(float)
    scores = random.permuted(np.tile(np.arange(25.0), (30, 1)), axis=1)
    ranks = (-scores).argsort(axis=1).argsort(axis=1) + 1
    found = NdcgMetric(k)(ranking(np.where(worth > 0, ranks, 0).tolist(), worth.tolist()))
    expected = [ndcg_score(worth[[q]], scores[[q]], k=k) for q in range(30)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_the_protocol_is_built_from_its_yaml(repository):
    protocol = instantiate(yaml.safe_load((repository / "conf/metrics/full_ranking.yaml").read_text("utf-8")))
    names = [f"{name}@{k}" for name in ("hr", "recall", "ndcg") for k in (5, 10, 20)]
    assert [metric.name for metric in protocol.metrics] == [*names, "mrr@10", "mrr@20"]
    assert protocol.mask_history


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"metrics": []}, "measures nothing"),
        ({"metrics": [MrrMetric(5), NdcgMetric(5), MrrMetric(5)]}, r"\['mrr@5'\] are listed twice"),
        ({"metrics": [MrrMetric(5)], "top_k": 0}, "top_k=0"),
        ({"metrics": [MrrMetric(5)], "valid_queries": 0}, "valid_queries=0: give at least 1, or null for all"),
    ],
)
def test_a_protocol_that_cannot_be_meant_is_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        EvaluationProtocol(**choices)
