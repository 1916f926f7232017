"""Delimited text into columns of strings: parsed in bulk, and read line by line only to find the line at fault."""

import csv
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from datamodules.corpus import DataError

BOM = b"\xef\xbb\xbf"
UNIT = "\x1f"  # the ASCII unit separator: Arrow splits at one character, MovieLens 1M writes two
BLOCK = 1 << 24  # bytes that Arrow parses at a time; a line must fit


@dataclass(frozen=True)
class Dialect:
    """How a file is written. `names` are its columns where the first line is data already; else the header names them.

    A quoted file follows RFC 4180 with `"`, without line ends inside a value; in any other file a quotation mark is
    a character like another.
    """

    delimiter: str = "\t"
    quoted: bool = False
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """The lines of one file as columns of strings: row r of `table` stands on line `first + r`."""

    path: Path
    table: pa.Table
    first: int

    def fail(self, row: int, message: str) -> Never:
        """Raise `DataError` for the line that holds the given row."""
        raise DataError(message, self.path, self.first + row)

    def lines(self) -> pa.Array:
        """The line of every row, from 1."""
        return pa.array(range(self.first, self.first + len(self.table)), pa.int64())

    def text(self, column: str) -> pa.Array:
        """A column as it was written, null where it is blank. Raises `DataError` where the file lacks the column."""
        if column not in self.table.column_names:
            raise missing_column(self.path, column, self.table.column_names, line=max(self.first - 1, 1))
        values = _whole(self.table[column])
        blank = pc.equal(pc.utf8_trim_whitespace(values), "")
        return pc.if_else(blank, pa.scalar(None, pa.string()), values)

    def keys(self, column: str) -> pa.Array:
        """A column that identifies a user or an item. Raises `DataError` at the first blank."""
        values = self.text(column)
        if values.null_count:
            row = pc.index(pc.is_null(values), True).as_py()
            self.fail(row, f"{column} is blank; every line needs one. Complete the line or delete it")
        return values

    def numbers(self, column: str) -> pa.Array:
        """A column as float64. Raises `DataError` at the first value that is no finite number."""
        values = self.text(column)
        if not _are_numbers(values):
            row = _first_odd(values)
            found = values[row].as_py() or ""
            self.fail(row, f"{column} is {found!r}, expected a finite number. Correct the line or delete it")
        return values.cast(pa.float64())


def missing_column(path: Path, column: str, present: Sequence[str], line: int = 1) -> DataError:
    """The error for a header that lacks a column, with the nearest column that it has."""
    near = difflib.get_close_matches(column, present, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return DataError(f"no column {column!r}; the columns are: {', '.join(present)}.{hint}", path, line)


def read_bytes(path: Path, encoding: str = "utf-8") -> bytes:
    """The file as UTF-8 without byte order mark and trailing line ends.

    Raises `DataError` where it is absent, holds no text, or is not written in `encoding`.
    """
    try:
        data = path.read_bytes().removeprefix(BOM).rstrip(b"\r\n")
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror}); put the file there or name another folder", path
        ) from error
    if not data.strip():
        raise DataError("the file is empty; get it anew from its owner", path)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} is not {encoding}"
        raise DataError(f"{found}; convert the file to {encoding} or get it anew", path, line) from error
    return data if encoding == "utf-8" else text.encode()


def read_rows(path: Path, dialect: Dialect) -> Rows:
    """Read a whole file in bulk. Raises `DataError` with the line where a line has too few or too many columns."""
    data = read_bytes(path, dialect.encoding)
    split = _splitter(dialect)
    names = dialect.names or split(data.split(b"\n", 1)[0].decode().rstrip("\r"))
    first = 1 if dialect.names else 2
    if first == 2 and b"\n" not in data:
        raise DataError(f"only a header ({', '.join(names)}) and no line of data; get the file anew", path)
    if len(set(names)) < len(names):
        raise DataError(f"a column stands twice in the header: {', '.join(names)}", path, 1)
    try:
        return Rows(path, _parse(data, dialect, list(names), first - 1), first)
    except pa.ArrowInvalid as error:
        _find_odd_line(path, data, split, names, first)
        raise DataError(f"cannot be parsed: {error}", path) from error


def _parse(data: bytes, dialect: Dialect, names: list[str], skip: int) -> pa.Table:
    delimiter = dialect.delimiter
    if len(delimiter) > 1:
        data, delimiter = data.replace(delimiter.encode(), UNIT.encode()), UNIT
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=skip, block_size=BLOCK, use_threads=False),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if dialect.quoted else False,
            ignore_empty_lines=False,  # a skipped line would shift the number of every later one
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )


def _splitter(dialect: Dialect) -> Callable[[str], list[str]]:
    if dialect.quoted:
        return lambda line: next(csv.reader([line], delimiter=dialect.delimiter))
    return lambda line: line.split(dialect.delimiter)


def _find_odd_line(
    path: Path, data: bytes, split: Callable[[str], list[str]], names: Sequence[str], first: int
) -> None:
    for number, line in enumerate(data.decode().split("\n")[first - 1 :], start=first):
        found = len(split(line.rstrip("\r"))) if line.strip() else 0
        if found != len(names):
            what = f"{found} columns where {len(names)} are expected ({', '.join(names)}): {line[:80]!r}"
            raise DataError(f"{what}. The line may be cut short: get the file anew or correct it", path, number)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):  # over 2 GiB of text in one column
        raise DataError("a column holds more than 2 GiB of text; split the file")
    return combined


def _are_numbers(values: pa.Array) -> bool:
    try:
        parsed = values.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return not parsed.null_count and bool(pc.all(pc.is_finite(parsed)).as_py())


def _first_odd(values: pa.Array) -> int:
    """The first row, of which there is one, that is no number: by halving, so that a long file costs one more pass."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _are_numbers(values[low:middle]) else (low, middle)
    return low
