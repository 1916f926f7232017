"""Approximate lists: laws over every interest and head, what the index may miss and what never, values by hand."""

import sys

import numpy as np
import pytest
import torch

from datamodules.types import Events, Items, Queries, QueryBlock
from lightning_modules.backbones.item_id import ItemIdBackbone
from lightning_modules.evaluation import catalogue_scores, rank
from lightning_modules.finite import NotFiniteError
from lightning_modules.metrics.hit_rate import HitRateMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parts.encoder import Encoder
from lightning_modules.recommender import Recommender
from lightning_modules.retrieval import Retriever, build_index, mean_recall, read_index, recall, seeds_of
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.strategies.full import FullStrategy
from lightning_modules.types import Pool
from tests.lightning_modules.composition import LENGTHS, PAIRS, D, ask_at_the_end, build, close, draw_events

N, K = 600, 10
every_pair = pytest.mark.parametrize(("interest", "head"), PAIRS)
every_masking = pytest.mark.parametrize("mask", [True, False])


def model_of(interest, head, **settings):
    encoder = Encoder(ItemIdBackbone(N, D), FullStrategy())
    settings = {"prior": "learned"} | settings
    return Recommender(encoder, build("interest", interest, n_items=N), build("head", head, n_items=N, **settings))


def clustered(n=N, topics=40, spread=0.2):
    """Item vectors around a few topics, with which the item embedding is filled."""
    vectors = torch.randn(topics, D)[torch.randint(topics, (n,))] + spread * torch.randn(n, D)
    return vectors - vectors.mean(0)


def world(interest, head, per_node, **settings):
    """A scorer over clustered items, the retriever over the same, and a block: four users and one row that fills it."""
    model = model_of(interest, head, **settings).eval()
    with torch.no_grad():
        model.encoder.backbone.embedding.weight.copy_(clustered())
    scorer = TrainedScorer(model, N)
    scorer.prepare(Items(torch.arange(N)))
    index = build_index(scorer.pool, threads=1)
    retriever = Retriever(model, scorer.vectors, scorer.pool, index, per_node)
    return scorer, retriever, block_of(draw_events((*LENGTHS, 2), slots=N))


def block_of(events):
    row, place = events.mask.nonzero(as_tuple=True)
    query = torch.arange(len(events.user))
    query[-1] = -1
    seen = torch.stack([row, events.slot[row, place]])
    none = torch.full((len(query), 1), -1)
    return QueryBlock(query, events, ask_at_the_end(events), none, seen)


def protocol(mask=True, k=K):
    return EvaluationProtocol((HitRateMetric(),), mask_history=mask, top_k=k)


@every_masking
@every_pair
def test_where_a_node_brings_the_whole_catalogue_the_list_is_the_exact_one(interest, head, mask):
    """Law 6."""
    with torch.no_grad():
        scorer, retriever, block = world(interest, head, per_node=N)
        exact = rank(scorer, block, N, protocol(mask))
    found = retriever.rank(block, protocol(mask))
    assert found.query.tolist() == [0, 1, 2, 3]
    assert torch.equal(found.top_ids, exact.top_ids)
    assert torch.equal(found.n_candidates, exact.n_candidates)
    close(found.top_scores, exact.top_scores)


@every_masking
@every_pair
def test_a_score_is_exact_and_lists_are_full_and_in_order(interest, head, mask):
    with torch.no_grad():
        scorer, retriever, block = world(interest, head, per_node=K)
        exact = catalogue_scores(scorer, block, N)
    found = retriever.rank(block, protocol(mask))
    assert bool((found.n_candidates < N).all())
    assert all(len(set(ids)) == K and min(ids) >= 0 for ids in found.top_ids.tolist())
    close(found.top_scores, exact[:4].gather(1, found.top_ids))
    assert torch.equal(found.top_scores, found.top_scores.sort(descending=True).values)


@every_pair
def test_what_a_user_had_is_never_recommended_and_leaves_room_for_what_is_new(interest, head):
    """The history is made of the very items that would be recommended, more of them than a node brings."""
    _, retriever, block = world(interest, head, per_node=5)
    best = retriever.rank(block, protocol(mask=False, k=30)).top_ids
    had = torch.stack([torch.arange(4).repeat_interleave(30), best.flatten()])
    block.seen = had[:, had[1] >= 0]
    found = retriever.rank(block, protocol(k=5))
    assert bool((found.top_ids >= 0).all())
    for row, ids in enumerate(found.top_ids.tolist()):
        assert not set(ids) & set(best[row].tolist())


@every_pair
def test_a_list_longer_than_what_a_node_brings_is_full_of_what_is_near(interest, head):
    with torch.no_grad():
        scorer, retriever, block = world(interest, head, per_node=2, prior="none")
        exact = rank(scorer, block, N, protocol(k=30))
    found = retriever.rank(block, protocol(k=30))
    assert bool((found.top_ids >= 0).all())
    assert float(recall(found.top_ids, exact.top_ids).mean()) >= 0.7


@every_pair
def test_an_answer_is_a_candidate_even_where_the_history_holds_it(interest, head):
    with torch.no_grad():
        scorer, retriever, block = world(interest, head, per_node=N)
        block.positives = block.events.slot[:, -1:].clone()
        exact = rank(scorer, block, N, protocol(k=N))
    found = retriever.rank(block, protocol(k=N))
    answers = block.positives[:4]
    assert bool((found.top_ids == answers).any(1).all())
    assert torch.equal(found.n_candidates, exact.n_candidates)


def test_what_scores_minus_infinity_is_never_listed_and_no_other_number_is_let_through():
    scorer, retriever, block = world("mean", "dot", per_node=N)
    retriever.pool.prior[10:] = -torch.inf
    found, exact = retriever.rank(block, protocol(mask=False, k=12)), rank(scorer, block, N, protocol(False, k=12))
    assert torch.equal(found.top_ids, exact.top_ids)
    assert found.top_ids[:, 10:].tolist() == [[-1, -1]] * 4
    assert found.top_scores[:, 10:].tolist() == [[-torch.inf] * 2] * 4
    for wrong in (torch.nan, torch.inf):
        retriever.pool.prior[3] = wrong
        with pytest.raises(NotFiniteError, match="1 of 10 values are NaN or infinite in scores of query 0"):
            retriever.rank(block, protocol(mask=False))


@pytest.mark.parametrize("head", ["dot", "graph"])
def test_clustered_interests_are_found_among_few(head):
    scorer, retriever, block = world("graph", head, per_node=16, prior="none")
    with torch.no_grad():
        exact = rank(scorer, block, N, protocol())
    found = retriever.rank(block, protocol())
    assert float(recall(found.top_ids, exact.top_ids).mean()) >= 0.9
    assert bool((found.n_candidates < N / 2).all())


def test_what_everybody_likes_is_found_far_from_every_interest():
    _, retriever, block = world("graph", "graph", per_node=4)
    nodes = retriever.vectors[block.events.slot[block.events.mask]]
    far = int((retriever.pool.vectors @ nodes.T).amax(1).argmin())
    retriever.pool.prior[far] = 100.0
    again = Retriever(retriever.model, retriever.vectors, retriever.pool, retriever.index, per_node=4)
    assert again.rank(block, protocol()).top_ids[:, 0].tolist() == [far] * 4


@every_pair
def test_where_it_is_looked(interest, head):
    """At the weighted sum; under a cut, where the sum does not say all, also at each node that weighs something."""
    _, retriever, block = world(interest, head, per_node=4)
    interests = retriever.model.ask(retriever.vectors, block.events, block.queries).interests
    alone = type(interests)(interests.nodes[:1], interests.weights[:1], interests.owner[:1])
    weighing = int((alone.weights > 0).sum())
    seeds = seeds_of(retriever.model.head, alone)
    assert weighing == (1 if interest == "transformer" else LENGTHS[0])
    assert len(seeds) == (1 if head == "dot" or weighing == 1 else 1 + weighing)
    close(seeds[:1], alone.weights[0] @ torch.nn.functional.normalize(alone.nodes[0], dim=-1))


def test_without_a_cut_the_sum_says_it_all():
    with pytest.warns(UserWarning, match=r"the cut of the head \(tau = -1\)"):
        _, retriever, block = world("graph", "graph", per_node=4, tau=-1.0)
    interests = retriever.model.ask(retriever.vectors, block.events, block.queries).interests
    assert len(seeds_of(retriever.model.head, interests)) == 1


def test_equals_stand_by_id():
    # Twelve items on four axes, in turn: items 0, 4 and 8 are one vector. Somebody who had 0 and 1 likes both axes
    # alike, so that 4, 5, 8 and 9 have one score and 2, the first of those without any, follows.
    vectors = torch.eye(4).repeat(3, 1)
    encoder = Encoder(ItemIdBackbone(12, 4), FullStrategy())
    model = Recommender(encoder, build("interest", "mean", 4, 12), build("head", "dot", 4, 12)).eval()
    pool = model.head.pool(vectors, torch.arange(12))
    zeros, mask = torch.zeros(2, 2, dtype=torch.long), torch.ones(2, 2, dtype=torch.bool)
    events = Events(torch.arange(2), torch.tensor([[0, 1], [0, 1]]), mask, zeros, zeros.float())
    seen = torch.tensor([[0, 0], [0, 1]])
    queries = Queries(torch.ones(2, 1, dtype=torch.long), torch.ones(2, 1, dtype=torch.bool))
    block = QueryBlock(torch.tensor([0, -1]), events, queries, torch.full((2, 1), -1), seen)
    retriever = Retriever(model, vectors, pool, build_index(pool), per_node=12)
    assert retriever.rank(block, protocol(k=5)).top_ids.tolist() == [[4, 5, 8, 9, 2]]
    short = retriever.rank(block, protocol(k=12))
    assert short.top_ids.tolist() == [[4, 5, 8, 9, 2, 3, 6, 7, 10, 11, -1, -1]]
    assert short.top_scores[0, 10:].tolist() == [-torch.inf] * 2


def test_recall_by_hand():
    # Of 3, 2 and 9 two are found, in another order; of a list of one, that one; of an empty list nothing is missed.
    found = torch.tensor([[1, 2, 3], [4, 5, -1], [7, 8, 9]])
    exact = torch.tensor([[3, 2, 9], [5, -1, -1], [-1, -1, -1]])
    torch.testing.assert_close(recall(found, exact), torch.tensor([2 / 3, 1.0, 1.0]))
    over = mean_recall(found, exact)
    assert (over.k, over.users) == (3, 3)
    assert over.mean == pytest.approx(8 / 9)
    assert over.interval == pytest.approx((2 / 3, 1.0))
    with pytest.raises(ValueError, match="at least one value"):
        mean_recall(found[:0], exact[:0])


def test_an_index_is_read_as_it_was_written_and_refused_where_it_is_another(tmp_path):
    _, retriever, _ = world("mean", "dot", per_node=4)
    pool, path = retriever.pool, tmp_path / "index"
    retriever.index.save(path)
    seeds = pool.vectors[:3].numpy()
    np.testing.assert_array_equal(read_index(path, pool).search(seeds, 5).keys, retriever.index.search(seeds, 5).keys)
    with pytest.raises(ValueError, match=r"an index of 600 x 8, and the catalogue is \(20, 8\)"):
        read_index(path, pool.block(0, 20))
    whole = path.read_bytes()
    for part in (b"", b"nothing", whole[: len(whole) // 2]):
        path.write_bytes(part)
        with pytest.raises(ValueError, match="no index can be read"):
            read_index(path, pool)


def test_one_thread_makes_the_same_index_each_time():
    pool = world("mean", "dot", per_node=4)[1].pool
    first, second = (build_index(pool, threads=1).save() for _ in range(2))
    assert first == second


def test_vectors_that_lie_dimension_by_dimension_make_the_same_index():
    pool = world("mean", "dot", per_node=4)[1].pool
    turned = Pool(pool.vectors.T.contiguous().T, pool.prior)
    assert build_index(turned, threads=1).save() == build_index(pool, threads=1).save()


def test_what_cannot_be_indexed_or_asked():
    _, retriever, _ = world("mean", "dot", per_node=4)
    with pytest.raises(ValueError, match="per_node is 0; each node brings at least 1 item"):
        Retriever(retriever.model, retriever.vectors, retriever.pool, retriever.index, per_node=0)
    retriever.pool.vectors[7, 3] = torch.nan
    with pytest.raises(NotFiniteError, match=r"1 of 4800 values .* the vectors of the catalogue"):
        build_index(retriever.pool)


def test_without_the_package_the_extra_is_named(monkeypatch):
    pool = world("mean", "dot", per_node=4)[1].pool
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ValueError, match=r"approximate lists need usearch: pip install 'interestlab\[retrieval\]'"):
        build_index(pool)
