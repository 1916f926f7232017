"""Items become words, words become word pieces, and nothing is lost on the way."""

import json
import warnings

import numpy as np
import pytest

from datamodules.corpus import DataError
from datamodules.text.template import TemplateText
from datamodules.text.tokens import tokenise
from tests.datamodules.small_corpus import entries, prepared

KEYS = ["a", "b", "c"]
TITLES = ["Toy Story", None, "Jumanji"]
KINDS = ["Children, Comedy", "Drama", "  "]
EVENTS = [("u", "a", 1.0, "view"), ("u", "b", 2.0, "buy"), ("v", "a", 3.0, "buy"), ("v", "a", 4.0, "buy")]
CHINESE = "今天的新闻很有意思"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "toy", "story", "##s", "新", "闻", "的", "推", "荐"]


def catalogue(p, table):
    """Text by item key."""
    return dict(zip(p.item_keys, table.texts, strict=False))


@pytest.fixture
def films(tmp_path):
    """Three items, one without a title, one without a kind; u and v did four things with two of them."""
    return prepared(tmp_path, EVENTS, keys=KEYS, title=TITLES, kind=KINDS)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """The folder of a BERT tokenizer that knows a few English and Chinese words."""
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": len(WORDS)}))
    return folder


def words(tokens):
    """Each text's word pieces."""
    spans = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [" ".join(WORDS[value] for value in tokens.values[a:b]) for a, b in spans]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ["Toy Story. Children, Comedy", "Drama", "Jumanji"]),
        ("{kind}: {title}", ["Children, Comedy: Toy Story", "Drama", "Jumanji"]),
        (
            "Film {title} of kind {kind}!",
            ["Film Toy Story of kind Children, Comedy!", "of kind Drama!", "Film Jumanji!"],
        ),
        ("{{x}}  {kind}\n{title}", ["{x} Children, Comedy Toy Story", "{x} Drama", "Jumanji"]),
    ],
)
def test_a_pattern_is_filled_and_empty_fields_take_their_words_along(films, pattern, expected):
    assert catalogue(films, TemplateText(pattern)(films)) == dict(zip(KEYS, expected, strict=True))


def test_a_fields_own_signs_stay(tmp_path):
    titles = ["...And Justice for All", "-", None]
    p = prepared(tmp_path, EVENTS, keys=KEYS, title=titles, kind=["/mu/", ": x", "|y|"])
    expected = {"a": "...And Justice for All. /mu/", "b": "-. : x", "c": "|y|"}
    assert catalogue(p, TemplateText()(p)) == expected
    assert catalogue(p, TemplateText("- {title} / {kind}")(p))["c"] == "|y|"
    assert catalogue(p, TemplateText("- {title} / {kind}")(p))["b"] == "- - / : x"


def test_without_phrases_every_history_text_is_the_catalogues(films):
    table = TemplateText()(films)
    assert len(table.texts) == 3
    assert table.item.tolist() == [0, 1, 2]
    assert table.row.tolist() == [[0, 1, 2]] * 3
    assert table.row.dtype == np.int32


def test_phrases_make_history_texts_of_the_pairs_that_occur(films):
    table = TemplateText(phrases={"buy": "bought it"})(films)
    a, b, c = (films.item_keys.index(key) for key in KEYS)
    buy, view = films.behaviours.index("buy"), films.behaviours.index("view")
    assert len(table.texts) == 5
    assert table.texts[table.row[buy, a]] == "Toy Story. Children, Comedy, bought it"
    assert table.texts[table.row[buy, b]] == "Drama, bought it"
    assert table.row[buy, c] == c  # nobody bought it
    assert table.row[view].tolist() == [0, 1, 2]  # no phrase
    assert table.row[0].tolist() == [0, 1, 2]


def test_candidates_never_carry_a_behaviour(films):
    plain, told = TemplateText()(films), TemplateText(phrases={"buy": "bought", "view": "saw"})(films)
    assert told.texts[:3] == plain.texts


def test_every_text_row_belongs_to_its_item(films):
    table = TemplateText(phrases={"buy": "bought", "view": "saw"})(films)
    for item, key in enumerate(films.item_keys):
        for row in table.row[:, item]:
            assert table.item[row] == item
            assert table.texts[row].startswith(table.texts[item])
            assert key == films.item_keys[table.item[row]]


def test_an_item_without_text_is_named_by_file_and_line(films):
    with pytest.raises(DataError, match=r"items.tsv, line 2: item 'b' has no text \(title: empty\); .*text.missing="):
        TemplateText("{title}")(films)
    with pytest.raises(DataError, match=r"items\.tsv, line 3: item 'c'"):
        TemplateText("A film: {kind}.")(films)


def test_missing_words_stand_in(films):
    assert catalogue(films, TemplateText("{title}", missing="a film")(films))["b"] == "a film"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "{titel}"}, "text.pattern names 'titel', .* title, kind; did you mean 'title'"),
        ({"phrases": {"bye": "bought"}}, "text.phrases names 'bye', .* buy, view; did you mean 'buy'"),
    ],
)
def test_a_misspelt_name_gets_the_nearest_right_word(films, settings, message):
    with pytest.raises(DataError, match=message):
        TemplateText(**settings)(films)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "{title"}, "does not parse"),
        ({"pattern": "{}"}, "no bare name"),
        ({"pattern": "{title!r}"}, "no bare name"),
        ({"pattern": "{title:>9}"}, "no bare name"),
        ({"pattern": "a film"}, "names no field"),
        ({"max_tokens": 2}, "max_tokens is 2; at least 3"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TemplateText(**settings)


def test_tokens_are_ragged_and_cut_but_never_padded(tmp_path, tokenizer):
    tokens = tokenise(("toy", "toys story", "story " * 9, ""), tokenizer, 5, tmp_path)
    assert words(tokens) == [
        "[CLS] toy [SEP]",
        "[CLS] toy ##s story [SEP]",
        "[CLS] story story story [SEP]",
        "[CLS] [SEP]",
    ]
    assert tokens.values.dtype == np.int32
    assert tokens.offsets.dtype == np.int64
    assert tokens.unknown_share == 0.0


def test_chinese_survives(tmp_path, tokenizer):
    p = prepared(tmp_path, [("u", "a"), ("u", "b")], keys=["a", "b"], title=["新闻的推荐", "推荐"])
    table = TemplateText(phrases={"view": "新"})(p)
    assert set(table.texts) == {"新闻的推荐", "推荐", "新闻的推荐, 新", "推荐, 新"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the comma is unknown
        tokens = tokenise(table.texts, tokenizer, 64, tmp_path)
    assert set(words(tokens)[:2]) == {"[CLS] 新 闻 的 推 荐 [SEP]", "[CLS] 推 荐 [SEP]"}


def test_tokens_are_made_once_and_reused(tmp_path, tokenizer, monkeypatch):
    first = tokenise(("toy story",), tokenizer, 8, tmp_path)
    monkeypatch.setattr("datamodules.text.tokens._write", None)
    again = tokenise(("toy story",), tokenizer, 8, tmp_path)
    np.testing.assert_array_equal(again.values, first.values)
    assert isinstance(again.values, np.memmap)


def test_other_texts_cuts_and_tokenizers_are_kept_apart(tmp_path, tokenizer):
    other = tmp_path / "other"
    other.mkdir()
    for file in tokenizer.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "vocab.txt").write_text("\n".join([*WORDS, "more"]), encoding="utf-8")
    for texts, folder, cut in [
        (("toy",), tokenizer, 8),
        (("toys",), tokenizer, 8),
        (("toy",), other, 8),
        (("toy",), tokenizer, 9),
    ]:
        tokenise(texts, folder, cut, tmp_path)
    assert len(entries(tmp_path / "tokens")) == 4


def test_many_unknown_word_pieces_warn_each_time(tmp_path, tokenizer):
    for _ in range(2):  # made, then reused
        with pytest.warns(UserWarning, match="^25.0% of the word pieces are unknown to the tokenizer in 'tokenizer"):
            tokenise(("toy story toy what",), tokenizer, 64, tmp_path)


def test_a_real_english_vocabulary_warns_of_chinese(tmp_path, minilm_path):
    with pytest.warns(UserWarning, match="choose a backbone that knows the language"):
        tokens = tokenise((CHINESE,), minilm_path, 64, tmp_path)
    known = set((minilm_path / "vocab.txt").read_text(encoding="utf-8").split())
    assert tokens.unknown_share == pytest.approx(sum(sign not in known for sign in CHINESE) / len(CHINESE))
    assert tokenise(("Toy Story (1995). Adventure",), minilm_path, 64, tmp_path).unknown_share == 0.0


@pytest.mark.parametrize("name", ["values.npy", "offsets.npy", "meta.json"])
def test_damaged_tokens_are_named_with_the_way_out(tmp_path, tokenizer, name):
    tokenise(("toy story",), tokenizer, 8, tmp_path)
    file = next((tmp_path / "tokens").glob(f"*/{name}"))
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match=rf"{file.parent}: .*; delete the folder"):
        tokenise(("toy story",), tokenizer, 8, tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no tokenizer"):
        tokenise(("toy",), tmp_path, 8, tmp_path)
