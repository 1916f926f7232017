"""The floor and the ceiling: popularity counts, and the oracle knows."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch

from datamodules.types import Events, Items, Queries, QueryBlock, TrainingLog
from lightning_modules.evaluation import evaluate, rank
from lightning_modules.intervals import paired_interval
from lightning_modules.metrics.mrr import MrrMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.recommender import Recommender
from lightning_modules.scorers.oracle import OracleScorer
from lightning_modules.scorers.popularity import PopularityScorer
from lightning_modules.scorers.trained import TrainedScorer

PROTOCOL = EvaluationProtocol([MrrMetric(20)], top_k=4)


def block(positives, truth=None, seen=()):
    zeros = torch.zeros(len(positives), 1, dtype=torch.long)
    return QueryBlock(
        query=torch.arange(len(positives)),
        events=Events(torch.arange(len(positives)), zeros, zeros == 0, zeros, zeros.float()),
        queries=Queries(zeros, zeros == 0),
        positives=torch.tensor(positives)[:, None],
        seen=torch.tensor(seen, dtype=torch.long).reshape(-1, 2).T,
        truth=truth,
    )


def popularity(item, n_items):
    scorer = PopularityScorer()
    scorer.fit(TrainingLog(torch.tensor([0, len(item)]), torch.tensor(item), n_items), Items(torch.arange(n_items)))
    scorer.prepare(Items(torch.arange(n_items)))
    return scorer


def test_popularity_ranks_by_training_events():
    # Counts of items 0 to 4: 1, 3, 0, 2, 0. Item 2 is cold and tied with item 4: the answer stands behind its equal.
    found = rank(popularity([1, 1, 3, 0, 3, 1], 5), block([3, 2]), 5, PROTOCOL)
    assert found.ranks.tolist() == [[2], [5]]
    assert found.top_ids.tolist() == [[1, 3, 0, 2]] * 2
    assert found.top_scores.tolist() == [[3, 2, 1, 0]] * 2


def test_popularity_leaves_out_what_the_user_knows():
    found = rank(popularity([1, 1, 3, 0, 3, 1], 5), block([3, 3], seen=[(0, 1)]), 5, PROTOCOL)
    assert found.ranks.tolist() == [[1], [2]]


def test_popularity_counts_before_it_ranks():
    with pytest.raises(RuntimeError, match="call fit with the training log first"):
        PopularityScorer().scores(block([0]), 0, 1)


@pytest.mark.parametrize("asked", ["vectors", "pool"])
def test_a_trained_model_encodes_before_it_is_asked(asked):
    scorer = TrainedScorer(Mock(spec=Recommender), 3)
    with pytest.raises(RuntimeError, match=r"asked before prepare\(\) gave the catalogue"):
        getattr(scorer, asked)
    with pytest.raises(RuntimeError, match=r"asked before prepare\(\) gave the catalogue"):
        scorer.scores(block([0]), 0, 1)


def test_the_oracle_ranks_by_the_true_probability():
    # p(item | user) = .25 * (.6, .3, .1) + .75 * (.1, .2, .7) = (.225, .225, .55)
    scorer = OracleScorer(torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]]))
    scores = scorer.scores(block([0], torch.tensor([[0.25, 0.75]])), 0, 3)
    torch.testing.assert_close(scores, torch.tensor([[0.225, 0.225, 0.55]]))
    torch.testing.assert_close(scorer.scores(block([0], torch.tensor([[0.25, 0.75]])), 1, 3), scores[:, 1:])


def test_the_oracle_needs_a_truth():
    with pytest.raises(ValueError, match=r"no known truth.*datamodule=simulator"):
        OracleScorer(torch.ones(2, 3)).scores(block([0]), 0, 3)


def test_the_oracle_is_not_beaten():
    """Law 9, its second half: 2,000 users drawn from their own mixture of 4 topics over 50 items; popularity knows the
    sum over users alone."""
    random = np.random.default_rng(0)
    topics = random.dirichlet(np.full(50, 0.1), size=4)
    mixture = random.dirichlet(np.full(4, 0.3), size=2_000)
    chance = mixture @ topics
    past, answers = (np.array([random.choice(50, p=p) for p in chance]) for _ in range(2))
    asked = block(answers.tolist(), torch.tensor(mixture).float())
    oracle = evaluate(OracleScorer(torch.tensor(topics).float()), [asked], 50, PROTOCOL)
    floor = evaluate(popularity(past.tolist(), 50), [asked], 50, PROTOCOL)
    low, high = paired_interval(oracle["mrr@20"], floor["mrr@20"])
    assert 0 < low < high
