"""What a corpus says in words: which texts, cut where, held out or not, in which batches; no word of later events."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from datamodules.batching.text_batches import HELD_OUT_TOKENS, TextBatches, cut_by_tokens
from datamodules.corpus import DataError
from datamodules.preparing.preparation import Filters, prepare
from datamodules.splits.leave_one_out import LeaveOneOutSplit
from datamodules.text.corpus_texts import CorpusTexts, cut, distinct_texts
from datamodules.text.template import TemplateText
from datamodules.text.tokens import tokenise
from datamodules.tiny_model import write_tiny_bert
from datamodules.types import Ragged
from tests.datamodules.small_corpus import prepared
from tests.datamodules.test_no_leak import world

PHRASES = {"buy": "bought it", "view": "looked at it"}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_bert(folder)
    return folder


def read(corpus, tokenizer, max_tokens=64, phrases=PHRASES):
    text = TemplateText(phrases=phrases, max_tokens=max_tokens)
    return distinct_texts(text(corpus), corpus, LeaveOneOutSplit()(corpus), tokenizer, max_tokens)


def test_items_then_histories_in_the_words_of_the_recommender(tmp_path, tokenizer):
    first = [("a", "x", 1.0, "view"), ("a", "y", 0.0, "buy"), ("a", "z", 2.0, "rate")]
    events = [*first, ("a", "x", 3.0), ("a", "y", 4.0)]
    corpus = prepared(tmp_path, events, keys=["x", "y", "z", "never"], title=["Heat", "Alien", "Brazil", "Dune"])
    found = read(corpus, tokenizer)
    assert set(found[:4]) == {"Heat", "Alien", "Brazil", "Dune"}  # side information: items without an event, too
    assert found[4:] == ("Alien, bought it; Heat, looked at it; Brazil",)  # the last two are validation and test


def test_moving_later_events_changes_no_text(tmp_path, tokenizer):
    made = [prepare(world(later), Filters(), tmp_path) for later in (0, 1)]
    assert made[0].digest != made[1].digest
    first, second = (read(corpus, tokenizer, 24) for corpus in made)
    assert first == second
    assert len(first) > 30 + 15


@pytest.mark.parametrize("max_tokens", [20, 36, 60])
def test_pieces_fit_and_no_event_is_divided_or_lost(tmp_path, tokenizer, max_tokens):
    events = [("a", f"i{k:02}", float(k), "view") for k in range(40)]
    corpus = prepared(tmp_path, events, title=[f"film {k} of {k % 7 * 'x'}" for k in range(40)])
    pieces = read(corpus, tokenizer, max_tokens, {"view": "looked at it"})[40:]
    told = [f"film {k} of {k % 7 * 'x'}".strip() + ", looked at it" for k in range(38)]
    assert [event for piece in pieces for event in piece.split("; ")] == told
    whole = tokenise(pieces, tokenizer, 1000, tmp_path)
    lengths = np.diff(whole.offsets)
    assert lengths.max() <= max_tokens
    joined = [f"{first}; {second.split('; ')[0]}" for first, second in pairwise(pieces)]
    assert np.diff(tokenise(tuple(joined), tokenizer, 1000, tmp_path).offsets).min() > max_tokens  # as long as may be


def test_an_event_that_is_too_long_stands_alone():
    alone, further = [3, 20, 2], [4, 21, 3]
    assert list(cut([0, 0, 1, 2, 2, 0], alone, further, room=10)) == [[0, 0], [1], [2, 2, 0]]
    assert list(cut([], alone, further, room=10)) == []


def test_what_is_held_out_depends_on_seed_and_text_and_not_on_the_order():
    texts = [f"text {k}" for k in range(200)]
    held = CorpusTexts(held_out=0.1).held(texts, 0)
    assert held.sum() == 20
    backwards = CorpusTexts(held_out=0.1).held(texts[::-1], 0)
    assert np.array_equal(backwards[::-1], held)
    assert not np.array_equal(CorpusTexts(held_out=0.1).held(texts, 1), held)
    assert CorpusTexts(held_out=0.01).held(texts[:5], 0).sum() == 1
    with pytest.raises(DataError, match="none would train"):
        CorpusTexts().held(["alone"], 0)


@pytest.mark.parametrize("wrong", [{"held_out": 0.0}, {"held_out": 1.0}, {"tokens_per_step": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=rf"corpus\.{next(iter(wrong))}"):
        CorpusTexts(**wrong)


def batches(seed=0):
    lengths = np.random.default_rng(0).integers(3, 40, 300)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    values = torch.repeat_interleave(torch.arange(300), torch.tensor(lengths))  # a text's tokens are its number
    return TextBatches(Ragged(values, offsets), np.arange(300) % 10 == 3, 256, seed)


def test_an_epoch_reads_every_other_text_once_within_the_budget():
    made = batches()
    orders = [made.order(epoch, 1) for epoch in (0, 1)]
    lengths = made.tokens.lengths().numpy()
    for order in orders:
        assert sorted(np.concatenate(order)) == [row for row in range(300) if row % 10 != 3]
        assert max(len(rows) * lengths[rows].max() for rows in order) <= 256
        padding = sum(len(rows) * lengths[rows].max() for rows in order) / lengths[np.concatenate(order)].sum()
        assert padding < 1.1
    assert [rows.tolist() for rows in orders[0]] != [rows.tolist() for rows in orders[1]]
    again = batches().order(1, 1)
    assert all(np.array_equal(left, right) for left, right in zip(again, orders[1], strict=True))
    assert any(not np.array_equal(left, right) for left, right in zip(again, batches(1).order(1, 1), strict=True))


def test_held_out_batches_are_those_texts_whatever_the_step():
    read = [text for batch in batches().held_out() for text in batch.values.unique().tolist()]
    assert sorted(read) == list(range(3, 300, 10))
    long = TextBatches(batches().tokens, batches().held, 10**6, 9)
    assert [len(one.offsets) for one in long.held_out()] == [len(one.offsets) for one in batches().held_out()]
    assert HELD_OUT_TOKENS > 40


def test_a_text_beyond_the_budget_is_a_batch_of_its_own():
    parts = cut_by_tokens(np.arange(4), np.array([2, 3, 9, 30]), 8)
    assert [part.tolist() for part in parts] == [[0, 1], [2], [3]]


def test_processes_share_an_epoch_and_a_loader_goes_on_where_it_was():
    made = batches()
    loaders = [made.training(rank, 3) for rank in range(3)]
    assert {len(loader) for loader in loaders} == {made.steps_per_epoch(3)}
    for loader in loaders:
        loader.sampler.set_epoch(2)
    given = [list(loader) for loader in loaders]
    assert {text for mine in given for batch in mine for text in batch.values.tolist()} == {
        row for row in range(300) if row % 10 != 3
    }
    assert loaders[0].state_dict() == {"given": 0}
    stopped, resumed = made.training(1, 3), made.training(1, 3)
    stopped.sampler.set_epoch(2)
    walk = iter(stopped)
    for _ in range(2):
        next(walk)
    resumed.load_state_dict(stopped.state_dict())
    resumed.sampler.set_epoch(2)
    rest = list(resumed)
    assert len(rest) == len(given[1]) - 2
    assert all(torch.equal(left.values, right.values) for left, right in zip(rest, given[1][2:], strict=True))
    assert len(list(resumed)) == len(given[1])  # the next pass is whole
