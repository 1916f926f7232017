"""Laws 6 and 8. Ranking against the whole catalogue: laws, and a brute force that sorts every list in plain Python."""

import math

import numpy as np
import pytest
import torch

from datamodules.types import Events, Queries, QueryBlock
from lightning_modules.evaluation import GROUP, ITEMS_PER_BLOCK, _best, catalogue_scores, evaluate, rank, rank_scores
from lightning_modules.finite import NotFiniteError
from lightning_modules.metrics.hit_rate import HitRateMetric
from lightning_modules.metrics.mrr import MrrMetric
from lightning_modules.metrics.ndcg import NdcgMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.metrics.recall import RecallMetric

METRICS = tuple(kind(k) for kind in (HitRateMetric, RecallMetric, NdcgMetric, MrrMetric) for k in (1, 3, 10))
N = 37


class TableScorer:
    """Scores read from a (queries, items) table; remembers how it was asked. Fill gets NaN, which must not matter."""

    def __init__(self, scores):
        self.table = torch.cat([torch.as_tensor(scores), torch.full((1, np.shape(scores)[1]), torch.nan)])
        self.widths = []

    def fit(self, train, items): ...

    def prepare(self, items): ...

    def scores(self, block, start, stop):
        self.widths.append(stop - start)
        return self.table[block.query, start:stop]


def block(query, positives, seen):
    """positives and seen: lists of catalogue ids per query."""
    size, width = len(query), max([1, *map(len, positives)])
    pairs = [(row, item) for row, items in enumerate(seen) for item in items]
    zeros = torch.zeros(size, 1, dtype=torch.long)
    return QueryBlock(
        query=torch.tensor(query),
        events=Events(torch.arange(size), zeros, zeros == 0, zeros, zeros.float()),
        queries=Queries(zeros, zeros == 0),
        positives=torch.tensor([[*items, *[-1] * (width - len(items))] for items in positives]),
        seen=torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T,
    )


def scores_of(kind, queries, items, random):
    scores = random.normal(size=(queries, items)).astype(np.float32)
    if kind == "tied":
        return random.integers(-1, 2, size=scores.shape).astype(np.float32) * random.choice([-1, 1], scores.shape)
    if kind == "equal":
        return np.full_like(scores, 0.25)
    if kind == "some never":
        return np.where(random.random(scores.shape) < 0.4, -np.inf, scores).astype(np.float32)
    return np.full_like(scores, -np.inf) if kind == "all never" else scores


def case(kind, items=N, queries=40, seed=0):
    """Scores, positives (0 to 14, sometimes seen before, sometimes named twice) and histories of some queries."""
    random = np.random.default_rng(seed)
    scores = scores_of(kind, queries, items, random)
    positives = [random.integers(items, size=random.integers(0, 15)).tolist() for _ in range(queries)]
    seen = [random.integers(items, size=random.integers(0, 20)).tolist() for _ in range(queries)]
    return scores, positives, seen


def brute_force(scores, positives, seen, mask):
    """One query: the places of its positives, the number of candidates, the recommended list, and every metric.

    Worst case for the model: among equal scores every positive stands behind what is none.
    """
    wanted = set(positives)
    candidates = set(range(len(scores))) - (set(seen) - wanted if mask else set())
    order = sorted(candidates, key=lambda item: (-scores[item], item in wanted, item))
    places = {item: place for place, item in enumerate(order, 1) if item in wanted}
    shown = sorted((item for item in candidates if scores[item] > -math.inf), key=lambda item: (-scores[item], item))
    found = {}
    for k in (1, 3, 10):
        hits = sorted(place for place in places.values() if place <= k)
        ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(wanted)) + 1))
        found[f"hr@{k}"] = float(bool(hits))
        found[f"recall@{k}"] = len(hits) / len(wanted) if wanted else 0.0
        found[f"ndcg@{k}"] = sum(1 / math.log2(place + 1) for place in hits) / ideal if wanted else 0.0
        found[f"mrr@{k}"] = 1 / hits[0] if hits else 0.0
    return places, len(candidates), shown, found


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("items", [1, 2, N])
@pytest.mark.parametrize("kind", ["random", "tied", "equal", "some never", "all never"])
def test_ranking_equals_a_brute_force(kind, items, mask):
    scores, positives, seen = case(kind, items)
    protocol = EvaluationProtocol(METRICS, mask_history=mask, top_k=5)
    whole = block(list(range(40)), positives, seen)
    found = rank(TableScorer(scores), whole, items, protocol)
    table = evaluate(TableScorer(scores), [whole], items, protocol)
    for q in range(40):
        places, n_candidates, shown, metrics = brute_force(scores[q].tolist(), positives[q], seen[q], mask)
        named = {item: place for item, place in zip(positives[q], found.ranks[q].tolist(), strict=False) if place}
        assert named == places
        assert int((found.ranks[q] > 0).sum()) == len(places)
        assert int(found.n_candidates[q]) == n_candidates
        assert [item for item in found.top_ids[q].tolist() if item >= 0] == shown[:5]
        assert {name: table[name][q] for name in metrics} == pytest.approx(metrics, abs=1e-6)


@pytest.mark.parametrize("size", [1, 5, 36, 37, 4096])
def test_the_catalogue_may_be_cut_anywhere_and_every_block_has_one_width(size):
    scores, positives, seen = case("random")
    scorer = TableScorer(scores)
    made = catalogue_scores(scorer, block(list(range(40)), positives, seen), N, items_per_block=size)
    assert torch.equal(made, torch.tensor(scores))
    assert set(scorer.widths) == {min(size, N)}
    assert len(scorer.widths) == math.ceil(N / size)


@pytest.mark.parametrize("size", [1, 6, 16])
def test_blocks_of_queries_their_order_their_fill_and_repetitions_move_no_digit(size):
    scores, positives, seen = case("tied")
    protocol = EvaluationProtocol(METRICS)
    whole = evaluate(TableScorer(scores), [block(list(range(40)), positives, seen)], N, protocol)
    rows = [*np.random.default_rng(size).permutation(40).tolist(), 3, 4, 3]
    rows += [-1] * (-len(rows) % size + size)  # also one block of nothing but fill
    blocks = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        blocks.append(block(part, [positives[q] if q >= 0 else [] for q in part], [seen[q] for q in part]))
    dealt = evaluate(TableScorer(scores), blocks, N, protocol)
    assert dealt.keys() == whole.keys()
    for name, column in whole.items():
        np.testing.assert_array_equal(dealt[name], column)


def test_a_masked_item_is_never_recommended_and_an_answer_always_is_a_candidate():
    asked = block([0], [[2]], [[0, 1, 2]])
    scores = [[9.0, 8.0, 7.0, 6.0]]
    found = rank(TableScorer(scores), asked, 4, EvaluationProtocol(METRICS, top_k=3))
    assert found.top_ids.tolist() == [[2, 3, -1]]
    assert found.top_scores.tolist() == [[7.0, 6.0, -math.inf]]
    assert (found.ranks.tolist(), found.n_candidates.tolist()) == ([[1]], [2])
    unmasked = rank(TableScorer(scores), asked, 4, EvaluationProtocol(METRICS, mask_history=False, top_k=3))
    assert unmasked.top_ids.tolist() == [[0, 1, 2]]
    assert (unmasked.ranks.tolist(), unmasked.n_candidates.tolist()) == ([[3]], [4])


def test_a_model_that_tells_no_item_from_another_ranks_the_answer_last():
    found = rank(TableScorer([[0.5] * 10]), block([0], [[4]], [[0, 1]]), 10, EvaluationProtocol(METRICS))
    assert found.ranks.tolist() == [[8]]


def test_answers_share_no_place():
    # 3 and 1 lead the list, 5 is beaten by them and by item 0 (equal score): places 1, 2 and 4.
    scorer = TableScorer([[1.0, 8.0, 0.0, 9.0, 0.0, 1.0]])
    found = rank(scorer, block([0], [[5, 1, 3]], [[]]), 6, EvaluationProtocol(METRICS))
    assert found.ranks.tolist() == [[4, 2, 1]]


def test_a_query_of_nothing_but_fill_leaves_no_row():
    found = rank(TableScorer([[0.0] * 5]), block([-1, -1], [[], []], [[], []]), 5, EvaluationProtocol(METRICS))
    assert found.ranks.shape == (0, 1)
    assert found.top_ids.shape == (0, 20)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_names_scorer_query_and_item(bad):
    scores = np.zeros((3, 6), dtype=np.float32)
    scores[2, 4] = bad
    with pytest.raises(NotFiniteError, match=r"1 of 18 scores of TableScorer .* query 2 and catalogue item 4"):
        rank(TableScorer(scores), block([0, 1, 2], [[1]] * 3, [[]] * 3), 6, EvaluationProtocol(METRICS))


def test_scores_of_another_shape_are_refused():
    class Short(TableScorer):
        def scores(self, block, start, stop):
            return self.table[:1, start:stop]

    with pytest.raises(ValueError, match=r"Short gave scores of shape \(1, 6\) for 2 queries and the 6 items from 0"):
        rank(Short([[0.0] * 6]), block([0, 1], [[1]] * 2, [[]] * 2), 6, EvaluationProtocol(METRICS))
    with pytest.raises(ValueError, match="the catalogue has 0 items"):
        catalogue_scores(Short([[0.0] * 6]), block([0], [[]], [[]]), 0)


def test_scores_of_half_the_width_rank_as_their_values_do():
    scores, positives, seen = case("tied")
    whole, protocol = block(list(range(40)), positives, seen), EvaluationProtocol(METRICS)
    half = rank_scores(torch.tensor(scores).bfloat16(), whole, protocol)
    assert torch.equal(half.ranks, rank_scores(torch.tensor(scores), whole, protocol).ranks)


@pytest.mark.parametrize("levels", [1, 4, 300])
@pytest.mark.parametrize("n", [10 * GROUP, 10 * GROUP + 1, 2017])
def test_the_head_of_a_long_list_is_that_of_a_sorted_one(n, levels):
    """Law 6. Few levels mean many equals, within groups of neighbours and across them."""
    generator = torch.Generator().manual_seed(n + levels)
    scores = torch.randint(levels, (9, n), generator=generator).float()
    scores[0, 5:] = -torch.inf
    scores[1] = -0.0
    ids, best = _best(scores, 9)
    order = [sorted(range(n), key=lambda i: (-row[i], i))[:9] for row in scores.tolist()]
    expected = torch.tensor(order)
    values = scores.gather(1, expected)
    assert torch.equal(ids, expected.masked_fill(values == -torch.inf, -1))
    assert torch.equal(best, values)


def test_an_accelerator_that_is_neither_cpu_nor_cuda_has_blocks_too():
    """Memory alone stands for it here: on `meta` nothing is computed."""

    class Nothing(TableScorer):
        def scores(self, block, start, stop):
            self.widths.append(stop - start)
            return torch.empty(len(block.query), stop - start, device="meta")

    asked = block([0], [[1]], [[]])
    asked.query, scorer = asked.query.to("meta"), Nothing(np.zeros((1, 1)))
    assert catalogue_scores(scorer, asked, 20_000).shape == (1, 20_000)
    assert scorer.widths == [ITEMS_PER_BLOCK["cuda"]] * 2
