"""Lines are counted as an editor counts them, and the line at fault is the one that the message names."""

import re

import pytest

from datamodules.corpus import DataError
from datamodules.reading.delimited import Dialect, read_bytes, read_rows

TSV = Dialect("\t")


def write(tmp_path, data, encoding="utf-8", name="log.tsv"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n\n"])
def test_the_way_a_file_ends_adds_no_row(tmp_path, end):
    newline = "\r\n" if end == "\r\n" else "\n"
    rows = read_rows(write(tmp_path, newline.join(["a\tb", "1\t2", "3\t4"]) + end), TSV)
    assert rows.text("b").to_pylist() == ["2", "4"]
    assert rows.lines().to_pylist() == [2, 3]


def test_a_file_without_header_starts_on_line_one(tmp_path):
    rows = read_rows(write(tmp_path, "1::x\n2::y"), Dialect("::", names=("n", "word")))
    assert rows.lines().to_pylist() == [1, 2]
    assert rows.text("word").to_pylist() == ["x", "y"]
    assert rows.numbers("n").to_pylist() == [1.0, 2.0]


def test_a_quotation_mark_is_a_character_unless_the_file_is_quoted(tmp_path):
    path = write(tmp_path, 'a\tb\n23" hair\t"x\n')
    assert read_rows(path, TSV).text("a").to_pylist() == ['23" hair']
    path = write(tmp_path, 'a,b\n"One, ""two""",3\n')
    assert read_rows(path, Dialect(",", quoted=True)).text("a").to_pylist() == ['One, "two"']


def test_words_that_other_readers_take_for_null_stay_words(tmp_path):
    rows = read_rows(write(tmp_path, "a\tb\nNA\t1\nnull\t2\nNaN\t3\n"), TSV)
    assert rows.keys("a").to_pylist() == ["NA", "null", "NaN"]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    assert read_rows(write(tmp_path, b"\xef\xbb\xbfa\tb\n1\t2\n"), TSV).table.column_names == ["a", "b"]


def test_latin_1_arrives_as_unicode(tmp_path):
    rows = read_rows(
        write(tmp_path, "1|Misérables\n", "latin-1"), Dialect("|", encoding="latin-1", names=("n", "title"))
    )
    assert rows.text("title").to_pylist() == ["Misérables"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "log.tsv: the file is empty"),
        ("\n \n", "log.tsv: the file is empty"),
        ("a\tb\n", "log.tsv: only a header (a, b)"),
        ("a\ta\n1\t2", "log.tsv, line 1: a column stands twice"),
        ("a\tb\n1\t2\n3\n", "log.tsv, line 3: 1 columns where 2 are expected (a, b): '3'"),
        ("a\tb\n1\t2\t9\n3\t4\n", "log.tsv, line 2: 3 columns where 2 are expected"),
        (b"a\tb\n1\t2\nMis\xe9rables\t2\n", "log.tsv, line 3: byte 0xe9 is not utf-8"),
    ],
)
def test_a_damaged_file_is_refused_by_line(tmp_path, data, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_rows(write(tmp_path, data), TSV)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.tsv: cannot be read \(No such file or directory\)"):
        read_bytes(tmp_path / "none.tsv")


@pytest.mark.parametrize("word", ["yesterday", "", " 1", "nan", "inf", "1_000"])
def test_what_is_no_finite_number_is_refused_by_line(tmp_path, word):
    rows = read_rows(write(tmp_path, f"a\ttime\nx\t1\ny\t{word}\nz\t3\n"), TSV)
    with pytest.raises(DataError, match=re.escape(f"log.tsv, line 3: time is {word!r}, expected a finite number")):
        rows.numbers("time")


def test_a_blank_key_is_refused_and_a_blank_text_is_null(tmp_path):
    rows = read_rows(write(tmp_path, "user\tword\nx\t \n\ty\n"), TSV)
    assert rows.text("word").to_pylist() == [None, "y"]
    with pytest.raises(DataError, match=r"line 3: user is blank"):
        rows.keys("user")


def test_a_blank_line_in_the_middle_is_a_blank_key_on_that_line(tmp_path):
    rows = read_rows(write(tmp_path, "user\tword\nx\ta\n\ny\tb\n"), TSV)
    with pytest.raises(DataError, match=r"line 3: user is blank"):
        rows.keys("user")


def test_a_missing_column_comes_with_the_nearest_one(tmp_path):
    rows = read_rows(write(tmp_path, "user_id\ttimestamps\nx\t1\n"), TSV)
    with pytest.raises(DataError, match=r"line 1: no column 'timestamp'.*user_id, timestamps.*mean 'timestamps'\?"):
        rows.numbers("timestamp")


@pytest.mark.parametrize("bad", [0, 1, 6, 7, 12])
def test_of_several_words_the_first_is_named(tmp_path, bad):
    cells = [str(n) if n < bad or (n % 2 == 0 and n != bad) else "?" for n in range(13)]
    rows = read_rows(write(tmp_path, "\n".join(cells)), Dialect("\t", names=("n",)))
    with pytest.raises(DataError, match=rf"line {cells.index('?') + 1}: n is '\?'"):
        rows.numbers("n")
