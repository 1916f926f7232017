"""What `describe` says, by hand on a log of ten events, and the program on simulated data."""

import numpy as np
import pytest

from datamodules.preparing.preparation import Filters
from datamodules.splits.leave_one_out import LeaveOneOutSplit
from datamodules.text.template import TemplateText
from datamodules.text.tokens import Tokens
from experiments.describe import main
from experiments.description import (
    cold_share,
    corpus_facts,
    examples_grid,
    filters_grid,
    split_facts,
    spread,
    text_facts,
    training_counts,
)
from tests.datamodules.small_corpus import prepared

# u: a b c d (c and d at one time), v: a b a, w: b c e, x: a alone. Item f has no events.
EVENTS = [
    *(("u", item, time) for item, time in zip("abcd", (1, 2, 3, 3), strict=True)),
    *(("v", item, time) for item, time in zip("aba", (1, 2, 3), strict=True)),
    *(("w", item, time) for item, time in zip("bce", (1, 2, 3), strict=True)),
    ("x", "a", 1),
]


@pytest.fixture
def small(tmp_path):
    return prepared(tmp_path, EVENTS, keys=list("abcdef"))


def texts(grid):
    return [[cell.text for cell in row] for row in grid.rows]


def test_counts_lengths_and_ties(small):
    facts = corpus_facts(small)
    assert facts["events"] == "11"
    assert facts["users"] == "4, of them 1 with fewer than 3 events"
    assert facts["items"] == "6, of them 1 without events"
    assert facts["events per user and item"] == "46%"  # 11 of 24
    assert facts["history length"] == "least 1, quartiles 2.5 / 3 / 3.25, most 4, mean 2.75"
    assert facts["ties in time"].startswith("1 events at the time of the one before; 1 users whose last")
    assert facts["time"] == "1970-01-01T00:00:01 to 1970-01-01T00:00:03"
    assert facts["behaviour 'view'"] == "11 events"


def test_order_alone_has_no_period_and_no_ties(tmp_path):
    facts = corpus_facts(prepared(tmp_path, [event[:2] for event in EVENTS]))
    assert facts["time"] == "unknown, only the order of events is known"
    assert "ties in time" not in facts


def test_what_training_has_never_seen(small):
    # Training: u a b, v a, w b, x a. Test answers: d (cold), a, e (cold); validation answers: c (cold), b, c (cold).
    split = LeaveOneOutSplit()(small)
    counts = training_counts(small, split)
    assert {key: int(counts[item]) for item, key in enumerate(small.item_keys)} == {
        **dict.fromkeys("cdef", 0),
        "a": 3,
        "b": 2,
    }
    assert cold_share(small, split.queries["test"], counts) == pytest.approx(2 / 3)
    facts = split_facts(small, split)
    assert facts["training events"] == "5"
    assert facts["items never trained on"] == "4 (67%)"
    assert facts["test queries"] == "3, answers to one: always 1"
    assert facts["valid answers never trained on"] == "67%"


def test_every_filter_tells_what_it_left(tmp_path):
    small = prepared(tmp_path, EVENTS, filters=Filters(min_user_events=3))
    assert texts(filters_grid(small)) == [["read", "11", "4", "5"], ["min_user_events=3", "10", "3", "5"]]


def test_texts_are_counted_with_and_without_a_tokenizer(small):
    table = TemplateText(phrases={"view": "looked at it"})(small)
    facts = text_facts(table, 6, None, 8)
    assert facts["texts"] == "11: 6 items, 5 with a behaviour in words"
    assert facts["words of a text"].startswith("least 3, ")  # "title of a"; "title of a, looked at it"
    assert "backbone=minilm" in facts["word pieces"]
    offsets = np.array([0, *([5] * 8), 13, 21]).cumsum()[:12]
    facts = text_facts(table, 6, Tokens(np.zeros(56, np.int32), offsets, 0.0125), 8)
    assert facts["word pieces unknown to the tokenizer"] == "1.2%"


def test_examples_are_what_the_model_reads(small):
    table = TemplateText(phrases={"view": "looked at it"})(small)
    rows = texts(examples_grid(small, table, n_items=1, n_events=2))
    # a occurs four times (b three); u has the longest history.
    assert rows[0] == ["item a", "title of a"]
    assert rows[1:] == [
        ["user u, event 3", "title of c, looked at it"],
        ["user u, event 4", "title of d, looked at it"],
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [([], "-"), ([2, 2], "always 2"), ([0, 1, 2, 3, 1234], "least 0, quartiles 1 / 2 / 3, most 1,234, mean 248")],
)
def test_a_spread_in_words(values, text):
    assert spread(np.array(values)) == text


SMALL = ["datamodule.source.users=30", "datamodule.source.items=40", "datamodule.source.events=8"]


def test_the_program_describes_any_composition(tmp_path, capsys):
    words = [f"cache_dir={tmp_path}", *SMALL, "backbone=bert_tiny"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(f"{tmp_path}/prepared/simulator-")
    whole = "\n".join(lines)
    for part in (
        "Corpus simulator",
        "test answers never trained on",
        "word pieces unknown",
        "What the language model reads",
    ):
        assert part in whole


def test_without_text_only_the_log_is_described(tmp_path, capsys):
    assert main([f"cache_dir={tmp_path}", *SMALL, "experiment=popularity"]) == 0
    assert "language model" not in capsys.readouterr().out


def test_a_misspelt_override_is_one_message(tmp_path, capsys):
    assert main([f"cache_dir={tmp_path}", "datamodule.source.user=30"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "users" in said.err


def test_a_number_out_of_range_is_one_message(tmp_path, capsys):
    assert main([f"cache_dir={tmp_path}", "text.max_tokens=1"]) == 1
    assert capsys.readouterr().err == (
        "describe: text.max_tokens is 1; at least 3 leave room for one word between two special tokens\n"
    )
