"""RecBole's layouts: plain, benchmark rows, benchmark histories in both orders; and the real ml-100k where it lies."""

import re

import pytest

from datamodules.corpus import DataError
from datamodules.sources.atomic import AtomicSource

ITEMS = (
    "item_id:token\ttitle:token_seq\tprice:float\tyear:token\n"
    "a\tAn apple\t1.5\t2001\nb\tA pear\t2\t\nc\tA fig\t3\t2003\n"
)
HISTORY = "user_id:token\titem_id_list:token_seq\titem_id:token\n"


def toy(tmp_path, files, **settings):
    for name, text in files.items():
        (tmp_path / f"toy.{name}").write_text(text, encoding="utf-8")
    return AtomicSource("toy", "nowhere", root=str(tmp_path), **settings)


def histories(tmp_path, train, valid, test, **more):
    parts = {"train.inter": HISTORY + train, "valid.inter": HISTORY + valid, "test.inter": HISTORY + test}
    return toy(tmp_path, parts | ({"item": "item_id:token\n" + "\n".join("abcdef")} | more))


def events(corpus, *names):
    return [tuple(row[name] for name in names) for row in corpus.interactions.to_pylist()]


def test_plain_files(tmp_path):
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nx\tb\t4\t20\ny\ta\t2.5\t10\n"
    corpus = toy(tmp_path, {"inter": inter, "item": ITEMS}).load()
    assert events(corpus, "user", "item", "time", "strength", "behaviour", "split", "line") == [
        ("x", "b", 20.0, 4.0, "rate", None, 2),
        ("y", "a", 10.0, 2.5, "rate", None, 3),
    ]
    assert corpus.fields == ("title", "year")  # a price is no text
    assert corpus.items["title"].to_pylist() == ["An apple", "A pear", "A fig"]
    assert corpus.items["year"].to_pylist() == ["2001", None, "2003"]


def test_what_a_file_lacks_is_unknown(tmp_path):
    corpus = toy(tmp_path, {"inter": "user_id:token\titem_id:token\nx\tb\n", "item": ITEMS}).load()
    assert events(corpus, "time", "strength", "behaviour") == [(None, None, "interact")]


@pytest.mark.parametrize("settings", [{"time": "timestmap"}, {"rating": "stars"}])
def test_a_column_that_was_asked_for_by_name_must_be_there(tmp_path, settings):
    """Else a misspelt time column would leave the order of the file, and nobody would know."""
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nx\tb\t4\t20\n"
    with pytest.raises(DataError, match=rf"toy\.inter, line 1: no column '{next(iter(settings.values()))}'"):
        toy(tmp_path, {"inter": inter, "item": ITEMS}, **settings).load()


def test_columns_of_other_names_are_settings(tmp_path):
    files = {
        "inter": "who:token\tplace:token\tstars:float\twhen:float\tkind:token\nx\tb\t4\t20\tbuy\n",
        "item": ITEMS.replace("item_id", "place"),
    }
    names = {"user": "who", "item": "place", "rating": "stars", "time": "when", "behaviour": "kind", "fields": ["year"]}
    corpus = toy(tmp_path, files, **names).load()
    assert events(corpus, "user", "item", "time", "strength", "behaviour") == [("x", "b", 20.0, 4.0, "buy")]
    assert corpus.fields == ("year",)


def test_benchmark_rows_keep_their_split(tmp_path):
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    files = {"train.inter": header + "x\ta\t1\nx\tb\t2\n", "valid.inter": header + "x\tc\t3\n", "item": ITEMS}
    corpus = toy(tmp_path, files | {"test.inter": header + "y\ta\t4\n"}).load()
    assert events(corpus, "user", "item", "time", "split", "file", "line") == [
        ("x", "a", 1.0, "train", "toy.train.inter", 2),
        ("x", "b", 2.0, "train", "toy.train.inter", 3),
        ("x", "c", 3.0, "valid", "toy.valid.inter", 2),
        ("y", "a", 4.0, "test", "toy.test.inter", 2),
    ]


SEQUENCE = [("x", item, split) for item, split in zip("abcadf", ["train"] * 4 + ["valid", "test"], strict=True)]
TAIL = ("x\ta b c a\td\n", "x\ta b c a d\tf\n")


@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("x\ta\tb\nx\ta b\tc\nx\ta b c\ta\n", *TAIL),  # from the first target to the last
        ("x\ta b c\ta\nx\ta b\tc\nx\ta\tb\n", *TAIL),  # UniSRec: from the last to the first
        ("x\ta\tb\nx\ta b\tc\nx\tb c\ta\n", "x\tc a\td\n", "x\ta d\tf\n"),  # histories cut to two items
        ("x\tb c\ta\nx\ta b\tc\nx\ta\tb\n", "x\tc a\td\n", "x\ta d\tf\n"),  # both
        ("x\ta b c\ta\n", *TAIL),  # one row per user
    ],
)
def test_a_sequence_is_put_together_from_its_histories(tmp_path, train, valid, test):
    corpus = histories(tmp_path, train, valid, test).load()
    assert events(corpus, "user", "item", "split") == SEQUENCE
    assert corpus.interactions["time"].null_count == len(SEQUENCE)


def test_unrolling_inverts_the_augmentation(tmp_path):
    sequences = {f"u{n}": [f"i{(n * 7 + step * step) % 23}" for step in range(4 + n)] for n in range(60)}
    rows = {"train": "", "valid": "", "test": ""}
    for user, items in sequences.items():
        for stop in range(len(items) - 1, 0, -1):
            part = {1: "test", 2: "valid"}.get(len(items) - stop, "train")
            rows[part] += f"{user}\t{' '.join(items[:stop][-50:])}\t{items[stop]}\n"
    catalogue = "item_id:token\n" + "\n".join(f"i{n}" for n in range(23))
    corpus = histories(tmp_path, *rows.values(), item=catalogue).load()
    found = {}
    for user, item, _ in events(corpus, "user", "item", "split"):
        found.setdefault(user, []).append(item)
    assert found == sequences
    splits = [split for _, _, split in events(corpus, "user", "item", "split")]
    assert (splits.count("valid"), splits.count("test")) == (60, 60)


def test_users_of_several_files_need_not_be_in_all(tmp_path):
    corpus = histories(tmp_path, "x\ta\tb\n", "x\ta b\tc\ny\td\te\n", "x\ta b c\td\n").load()
    assert events(corpus, "user", "item", "split")[4:] == [("y", "d", "train"), ("y", "e", "valid")]


@pytest.mark.parametrize(
    ("train", "valid", "test", "place"),
    [
        ("x\ta\tb\nx\ta c\td\n", "x\ta\tb\n", "x\ta\tb\n", "toy.train.inter, line 3"),
        ("x\ta\tb\n", "x\tb a\tc\n", "x\ta\tb\n", "toy.valid.inter, line 2"),
        ("x\ta\tb\n", "x\ta b\tc\n", "x\ta b\td\n", "toy.test.inter, line 2"),
        ("x\ta\tb\n", "x\t\tc\n", "x\ta b c\td\n", "toy.valid.inter, line 2"),
    ],
)
def test_a_history_that_does_not_continue_is_refused_by_line(tmp_path, train, valid, test, place):
    with pytest.raises(DataError, match=re.escape(place) + ": the history of user 'x' ends in"):
        histories(tmp_path, train, valid, test).load()


def test_unisrec_texts_are_keyed_through_the_index(tmp_path):
    parts = {f"{part}.inter": HISTORY + f"0\t{listed}\t{target}\n" for part, listed, target in STEPS}
    text = {
        "text": "item_id:token\ttext:token_seq\nB07\tA fig.\nB01\tAn apple.\nB99\tUnused.\nB02\t一个梨\nB03\tA nut\n"
    }
    index = {"item2index": "B01\t0\nB02\t1\nB07\t2\nB03\t3\n"}
    corpus = toy(tmp_path, parts | text | index).load()
    assert [(row["item"], row["text"], row["line"]) for row in corpus.items.to_pylist()] == [
        ("2", "A fig.", 2),
        ("0", "An apple.", 3),
        ("1", "一个梨", 5),
        ("3", "A nut", 6),
    ]
    assert corpus.interactions["item"].to_pylist() == ["0", "1", "2", "3"]


STEPS = [("train", "0", "1"), ("valid", "0 1", "2"), ("test", "0 1 2", "3")]


def test_unisrec_texts_without_an_index_are_keyed_by_themselves(tmp_path):
    parts = {f"{part}.inter": HISTORY + f"0\t{listed}\t{target}\n" for part, listed, target in STEPS}
    text = "item_id:token\ttext:token_seq\n" + "".join(f"{n}\tThing {n}\n" for n in range(4))
    assert toy(tmp_path, parts | {"text": text}).load().fields == ("text",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"item": ITEMS}, "looked for toy.inter or toy.train.inter + toy.valid.inter + toy.test.inter; found toy.item"),
        ({"inter": "user_id:token\titem_id:token\nx\ta\n"}, "looked for toy.item or toy.text (+ toy.item2index)"),
        (
            {"inter": "user_id\titem_id\nx\ta\n", "item": ITEMS},
            "toy.inter, line 1: header cell 'user_id', expected NAME:TYPE",
        ),
        ({"inter": "uid:token\titem_id:token\nx\ta\n", "item": ITEMS}, "toy.inter, line 1: no column 'user_id'"),
        (
            {"inter": "user_id:token\titem_id:token\nx\tz\n", "item": ITEMS},
            "toy.inter, line 2: item 'z' has no entry in toy.item",
        ),
        (
            {"inter": "user_id:token\titem_id:token\ttimestamp:float\nx\ta\t1\nx\ta\tnoon\n", "item": ITEMS},
            "toy.inter, line 3: timestamp is 'noon'",
        ),
        (
            {"inter": "user_id:token\titem_id:token\nx\ta\n", "item": ITEMS + "a\tx\t1\ty\n"},
            "toy.item, line 5: item 'a' stands",
        ),
        ({"inter": "x", "train.inter": "x"}, "both toy.inter and benchmark files lie there"),
    ],
)
def test_bad_input_is_named(tmp_path, files, message):
    with pytest.raises(DataError, match=re.escape(message)):
        toy(tmp_path, files).load()


def test_ml_100k_has_its_published_counts(data_dir):
    corpus = AtomicSource("ml-100k", str(data_dir)).load()
    assert corpus.interactions.num_rows == 100_000
    assert len(corpus.interactions["user"].unique()) == 943
    assert len(corpus.interactions["item"].unique()) == len(corpus.items) == 1_682
    assert corpus.fields == ("movie_title", "release_year", "class")
