"""S3-Rec's format, from files of a few lines; and Beauty and Yelp where they lie."""

import re

import pytest

from datamodules.corpus import DataError
from datamodules.sources.sequences import SequencesSource

ITEMS = 'item_id\ttitle\tcategories\n1\tA 23" wig\tBeauty > Hair\n2\tSoap\tBath | Home\n3\t梳子\t\n'


def toy(tmp_path, lines="5 1 2\n9 3 3 1\n", items=ITEMS, name="Toy.txt", **settings):
    folder = tmp_path / "toy"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(lines)
    (folder / "items.tsv").write_text(items, encoding="utf-8")
    return SequencesSource("toy", str(tmp_path), **settings)


def test_a_line_is_a_user_and_items_in_time_order(tmp_path):
    rows = toy(tmp_path).load().interactions.to_pylist()
    assert [(row["user"], row["item"], row["line"]) for row in rows] == [
        ("5", "1", 1),
        ("5", "2", 1),
        ("9", "3", 2),
        ("9", "3", 2),
        ("9", "1", 2),
    ]
    assert {(row["time"], row["strength"], row["split"], row["file"]) for row in rows} == {
        (None, None, None, "Toy.txt")
    }


def test_every_column_but_the_key_is_text(tmp_path):
    corpus = toy(tmp_path).load()
    assert corpus.fields == ("title", "categories")
    assert corpus.items["title"].to_pylist() == ['A 23" wig', "Soap", "梳子"]
    assert corpus.items["categories"].to_pylist() == ["Beauty > Hair", "Bath, Home", None]


def test_a_text_file_of_another_kind_is_passed_over(tmp_path):
    source = toy(tmp_path)
    (tmp_path / "toy" / "README.txt").write_text("These are sequences.\n")
    assert source.files()[0].name == "Toy.txt"


def test_of_two_sequence_files_one_must_be_named(tmp_path):
    toy(tmp_path, name="More.txt")
    with pytest.raises(DataError, match=re.escape("2 files (More.txt, Toy.txt) with lines 'user item item ...'")):
        toy(tmp_path).load()
    assert toy(tmp_path, sequences="Toy.txt").files()[0].name == "Toy.txt"


@pytest.mark.parametrize(
    ("lines", "items", "message"),
    [
        ("5 1 2\n9\n7 1\n", ITEMS, "Toy.txt, line 2: found '9', expected 'user item item ...'"),
        ("5 1 2\n\n7 1\n", ITEMS, "Toy.txt, line 2: found '', expected"),
        ("5 1 2\n7 3\n5 1\n", ITEMS, "Toy.txt, line 3: user '5' has line 1 already"),
        ("5 1 2\n7 4\n", ITEMS, "Toy.txt, line 2: item '4' has no entry in items.tsv"),
        ("", ITEMS, "no .txt file with lines"),
        ("5 1 2\n", "id\ttitle\n1\tx\n", "items.tsv, line 1: no column 'item_id'; the columns are: id, title"),
        ("5 1 2\n", "item_id\ttitle\n1\tx\n2\n", "items.tsv, line 3: 1 columns where 2 are expected"),
        ("5 1 2\n", ITEMS + "2\tx\ty\n", "items.tsv, line 5: item '2' stands on line 3 already"),
        ("5 1 2\n", "item_id\tline\n1\tx\n2\ty\n", "a text column may not be called 'line'"),
    ],
)
def test_bad_input_is_named_by_file_and_line(tmp_path, lines, items, message):
    with pytest.raises(DataError, match=re.escape(message)):
        toy(tmp_path, lines, items).load()


def test_an_absent_folder_says_what_it_would_hold(tmp_path):
    with pytest.raises(DataError, match=re.escape("no .txt file with lines 'user item item ...'; found nothing")):
        SequencesSource("none", str(tmp_path)).load()


@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [("amazon_beauty", 22_363, 12_101, 198_502), ("yelp", 30_431, 20_033, 316_354)],
)
def test_real_files_have_their_published_counts(data_dir, name, users, items, events):
    corpus = SequencesSource(name, str(data_dir)).load()
    assert corpus.interactions.num_rows == events
    assert len(corpus.interactions["user"].unique()) == users
    assert len(corpus.interactions["item"].unique()) == len(corpus.items) == items
