"""Blocks of evaluation queries: of fixed shape (law 1), everyone in one, and what they say of each query."""

import numpy as np
import pytest

from datamodules.batching.loaders import block_loader
from datamodules.batching.query_blocks import BLOCK, ladder_width
from datamodules.candidates.full import FullCandidates
from datamodules.corpus import DataError
from datamodules.objectives.next import NextObjective
from datamodules.sources.simulator import SimulatorSource
from tests.datamodules.small_corpus import FixedSource, corpus
from tests.datamodules.small_module import small_module

MANY = SimulatorSource(users=150, items=120, events=16, seed=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_module(tmp_path_factory.mktemp("blocks"), MANY, objective=NextObjective(20))


def test_the_ladder_by_hand():
    assert [ladder_width(n, 50) for n in (1, 8, 9, 16, 17, 32, 33, 50)] == [8, 8, 16, 16, 32, 32, 50, 50]
    assert [ladder_width(n, 5) for n in (1, 5)] == [5, 5]


@pytest.mark.parametrize("split", ["valid", "test"])
def test_every_query_is_in_one_block_of_its_width(data, split):
    blocks, queries = data.blocks(split), data.split_of.queries[split]
    assert len(blocks) >= 3
    assert sorted(np.concatenate(blocks.members).tolist()) == list(range(len(queries.user)))
    for members, block in zip(blocks.members, blocks, strict=True):
        lengths = np.minimum((queries.stop - data.log.offsets[queries.user])[members], 20)
        widths = {ladder_width(int(n), 20) for n in lengths}
        assert widths == {block.events.slot.shape[1]}
        assert block.events.slot.shape[0] == BLOCK
        assert block.query.tolist() == [*members.tolist(), *[-1] * (BLOCK - len(members))]
        assert block.events.mask.sum(1)[: len(members)].tolist() == lengths.tolist()


def test_a_block_is_as_wide_as_its_rung_also_where_nobody_fills_it(data):
    blocks = data.blocks("valid")
    for members in blocks.members:
        lengths = np.minimum((blocks.queries.stop - data.log.offsets[blocks.queries.user])[members], 20)
        shortest = blocks.block(members[[lengths.argmin()]])
        assert shortest.events.slot.shape == (BLOCK, ladder_width(int(lengths.max()), 20))
        assert lengths.min() < shortest.events.slot.shape[1]


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_block_says_of_each_query_what_the_corpus_does(data, split):
    p, queries = data.prepared, data.split_of.queries[split]
    for block in data.blocks(split):
        for row, q in enumerate(block.query.tolist()):
            if q < 0:
                continue
            start, stop = int(p.offsets[queries.user[q]]), int(queries.stop[q])
            past = slice(max(start, stop - 20), stop)
            mask = block.events.mask[row]
            assert block.events.slot[row, mask].tolist() == p.item[past].tolist()
            assert block.events.time[row, mask].tolist() == p.time[past].tolist()
            assert block.queries.position[row].tolist() == [int(mask.sum()) - 1]
            assert block.queries.time[row].tolist() == [p.time[stop - 1]]  # now, and not the answer's time
            assert block.positives[row].tolist() == [p.item[stop]]
            seen = block.seen[1, block.seen[0] == row]
            assert seen.tolist() == p.item[start:stop].tolist()  # all of the history, not its window alone
            np.testing.assert_allclose(block.truth[row], p.truth.mixture[p.row[stop]], rtol=1e-6)


def test_a_test_history_holds_the_validation_event(data):
    p, queries = data.prepared, data.split_of.queries["test"]
    assert (queries.stop == p.offsets[queries.user + 1] - 1).all()


def test_a_sample_is_the_same_each_time_and_says_the_same(data):
    queries = data.split_of.queries["valid"]
    drawn = [np.sort(np.concatenate(data.blocks("valid", 40).members)).tolist() for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 40
    assert drawn[0][-1] < len(queries.user)
    whole = data.blocks("valid", 10_000)
    assert len(np.concatenate(whole.members)) == len(queries.user)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_whole_blocks_and_repeat_none(data, world):
    blocks = data.blocks("valid")
    assert len(blocks) >= world
    dealt = [block.query.tolist() for rank in range(world) for block in block_loader(blocks, rank, world, 0)]
    assert sorted(dealt) == sorted(block.query.tolist() for block in blocks)


def test_a_process_too_many_ranks_the_first_block_once_more(data):
    """Without a batch Lightning refuses it, and the others would wait for it."""
    blocks = data.blocks("valid")
    world = len(blocks) + 2
    dealt = [[block.query.tolist() for block in block_loader(blocks, rank, world, 0)] for rank in range(world)]
    assert dealt == [[block.query.tolist()] for block in blocks] + 2 * [[blocks[0].query.tolist()]]


def test_a_block_out_of_range_ends_iteration(data):
    blocks = data.blocks("valid")
    with pytest.raises(IndexError):
        blocks[len(blocks)]
    assert len(list(blocks)) == len(blocks)


def test_a_corpus_in_which_training_can_ask_nothing_is_refused(tmp_path):
    source = FixedSource(corpus([(f"u{u}", f"i{k}", float(k)) for u in range(3) for k in range(3)]))
    data = small_module(tmp_path, source, candidates=FullCandidates())
    with pytest.raises(DataError, match=r"no user of 'small' has 2 training events, .* loosen the filters"):
        data.train_dataloader()
