"""MovieLens in three formats, from files of a few lines; and the real one where it lies."""

import re

import pytest

from datamodules.corpus import INTERACTIONS, DataError
from datamodules.sources.movielens import MovielensSource, find_release, split_title

FLAGS = "0|0|0|1|1|1" + "|0" * 13  # Animation, Children's, Comedy


def small(tmp_path, ratings="userId,movieId,rating,timestamp\n1,11,4.0,300\n1,2,5.0,200\n2,11,0.5,100\n", movies=None):
    folder = tmp_path / "ml-latest-small"
    folder.mkdir(exist_ok=True)
    (folder / "ratings.csv").write_text(ratings)
    text = (
        'movieId,title,genres\n2,Jumanji (1995),Adventure|Children\n11,"American President, The (1995)",Comedy|Drama\n'
    )
    (folder / "movies.csv").write_text(movies or text, encoding="utf-8")
    return MovielensSource("latest-small", str(tmp_path))


def test_rows_keep_the_order_of_the_file(tmp_path):
    corpus = small(tmp_path).load()
    assert corpus.interactions.schema == INTERACTIONS
    rows = corpus.interactions.to_pylist()
    assert [(row["user"], row["item"], row["time"], row["strength"], row["line"]) for row in rows] == [
        ("1", "11", 300.0, 4.0, 2),
        ("1", "2", 200.0, 5.0, 3),
        ("2", "11", 100.0, 0.5, 4),
    ]
    assert {(row["behaviour"], row["split"], row["file"]) for row in rows} == {("rate", None, "ratings.csv")}


def test_text_of_a_movie(tmp_path):
    corpus = small(tmp_path).load()
    assert corpus.fields == ("title", "year", "genres")
    expected = {"item": "11", "title": "The American President", "year": "1995", "genres": "Comedy, Drama"}
    assert corpus.items.to_pylist()[1] == expected | {"file": "movies.csv", "line": 3}


def test_100k_reads_tabs_pipes_and_flags_in_latin_1(tmp_path):
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.data").write_text("196\t1\t3\t881250949\n22\t267\t1\t878887116\n")
    movies = f"1|Misérables, Les (1995)|01-Jan-1995||http://x|{FLAGS}\n267|unknown||||1" + "|0" * 18 + "\n"
    (folder / "u.item").write_bytes(movies.encode("latin-1"))
    corpus = MovielensSource("100k", str(tmp_path)).load()
    assert corpus.interactions["time"].to_pylist() == [881250949.0, 878887116.0]
    assert corpus.interactions["line"].to_pylist() == [1, 2]
    first, unknown = corpus.items.to_pylist()
    assert (first["title"], first["year"], first["genres"]) == (
        "Les Misérables",
        "1995",
        "Animation, Children's, Comedy",
    )
    assert (unknown["title"], unknown["year"], unknown["genres"]) == ("unknown", None, None)


def test_1m_splits_at_double_colons_and_not_at_single_ones(tmp_path):
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n")
    (tmp_path / "movies.dat").write_bytes("1193::Alien: Café (1979)::Horror|Sci-Fi\n".encode("latin-1"))
    corpus = MovielensSource("1m", "nowhere", root=str(tmp_path)).load()
    item = corpus.items.to_pylist()[0]
    assert (item["title"], item["genres"]) == ("Alien: Café", "Horror, Sci-Fi")
    assert corpus.interactions["strength"].to_pylist() == [5.0]


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("American President, The (1995)", "The American President", "1995"),
        ("Postman, The (Postino, Il) (1994)", "The Postman (Il Postino)", "1994"),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (The Adventure)", "1960"),
        ("Wonderful, Horrible Life, The (1993)", "The Wonderful, Horrible Life", "1993"),
        ("Paris, Texas (1984)", "Paris, Texas", "1984"),
        ("Death Note (2006\u20132007)", "Death Note", "2006"),
        ("2001: A Space Odyssey (1968) ", "2001: A Space Odyssey", "1968"),
        ("Babylon 5", "Babylon 5", None),
    ],
)
def test_titles(raw, title, year):
    assert split_title(raw) == (title, year)


@pytest.mark.parametrize(
    ("ratings", "movies", "message"),
    [
        ("userId,movieId,rating\n1,2,3\n", None, "ratings.csv, line 1: no column 'timestamp'"),
        ("userId,movieId,rating,timestamp\n1,2,3,noon\n", None, "ratings.csv, line 2: timestamp is 'noon'"),
        (
            "userId,movieId,rating,timestamp\n1,2,3,1\n1,2\n",
            None,
            "ratings.csv, line 3: 2 columns where 4 are expected",
        ),
        (
            "userId,movieId,rating,timestamp\n1,2,3,1\n1,99,3,1\n1,98,3,1\n",
            None,
            "ratings.csv, line 3: item '99' has no entry",
        ),
        ("", None, "ratings.csv: the file is empty"),
        (
            "userId,movieId,rating,timestamp\n1,2,3,1\n",
            "movieId,title,genres\n2,A,\n3,B,\n2,C,\n",
            "movies.csv, line 4: item '2' stands on line 2 already",
        ),
    ],
)
def test_bad_input_is_named_by_file_and_line(tmp_path, ratings, movies, message):
    with pytest.raises(DataError, match=re.escape(message)):
        small(tmp_path, ratings, movies).load()


def test_an_unknown_variant_lists_the_releases():
    with pytest.raises(ValueError, match="'10m' is no MovieLens release; releases are: 100k, 1m, latest-small"):
        find_release("10m")


def test_where_the_files_lie_is_no_part_of_what_they_are():
    assert MovielensSource("1m", "here", url="x", timeout=1.0) == MovielensSource("1m", "there", root="y")


def test_latest_small_has_its_published_counts(data_dir):
    corpus = MovielensSource("latest-small", str(data_dir)).load()
    assert corpus.interactions.num_rows == 100_836
    assert len(corpus.interactions["user"].unique()) == 610
    assert len(corpus.interactions["item"].unique()) == 9_724
    assert len(corpus.items) == 9_742
