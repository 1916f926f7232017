"""MovieLens in the owner's formats (GroupLens, https://grouplens.org/datasets/movielens/).

One raw line of ratings (user, movie, stars, seconds since 1970) and of movies, in each release:

    100k          196<TAB>242<TAB>3<TAB>881250949     1|Toy Story (1995)|01-Jan-1995||http://...|0|0|0|1|1|1|0|...
    1m            1::1193::5::978300760               1::Toy Story (1995)::Animation|Children's|Comedy
    latest-small  1,1,4.0,964982703                   11,"American President, The (1995)",Comedy|Drama|Romance

Licence: GroupLens' terms of use, in each archive's README: research, not commercial, no endorsement implied, citation
of Harper & Konstan (2015), https://doi.org/10.1145/2827872; redistribution of 100k and 1m needs permission.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from datamodules.corpus import Corpus, DataError
from datamodules.reading.delimited import Dialect, Rows, read_rows
from datamodules.reading.download import Archive, fetch_archive
from datamodules.reading.tables import assemble, interaction_table, item_table

_FLAGS = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
GENRES = tuple(_FLAGS.split("|"))
"""The 19 flags of a line in 100k's u.item, in their order (u.genre)."""
NO_GENRE = ("unknown", "(no genres listed)")
YEAR = re.compile(r"^(.*?)\s*\((\d{4})(?:[-\u2013]\d{0,4})?\)\s*$")
ARTICLE = re.compile(
    r"(^|\()([^()]+), (The|An?|L[aeo]s?|Les|L'|El|Il|I|Gli|Un[ea]?|Der|Die|Das|Den|Det|De|Ett?|En|O|Os|As)(?=\s*[()]|$)"
)


@dataclass(frozen=True)
class Release:
    """The files of one release, and the SHA-256 of its archive.

    The sums are those that TensorFlow Datasets publishes (url_checksums/movielens.txt). latest-small is GroupLens'
    release of September 2018; the owner may replace it, and the sum then says so.
    """

    sha256: str
    ratings: str
    ratings_dialect: Dialect
    movies: str
    movies_dialect: Dialect


RATING = ("user_id", "movie_id", "rating", "timestamp")
RELEASES = {
    "100k": Release(
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        "u.data",
        Dialect("\t", names=RATING),
        "u.item",
        Dialect("|", encoding="latin-1", names=("movie_id", "title", "released", "released_video", "url", *GENRES)),
    ),
    "1m": Release(
        "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        "ratings.dat",
        Dialect("::", names=RATING),
        "movies.dat",
        Dialect("::", encoding="latin-1", names=("movie_id", "title", "genres")),
    ),
    "latest-small": Release(
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        "ratings.csv",
        Dialect(",", quoted=True),
        "movies.csv",
        Dialect(",", quoted=True),
    ),
}
CSV_NAMES = {"user_id": "userId", "movie_id": "movieId"}


@dataclass(frozen=True)
class MovielensSource:
    """MovieLens ratings: behaviour "rate", strength = stars (1 to 5, or 0.5 to 5 by halves).

    Text fields: title (without the year; a trailing article moved to the front), year, genres. Files are read from
    `root`, else from `data_dir`/ml-VARIANT, to which they are downloaded where that folder is absent. timeout: see
    `datamodules.reading.download.fetch_archive`.
    """

    variant: Literal["100k", "1m", "latest-small"]
    data_dir: str = field(compare=False)
    root: str | None = field(default=None, compare=False)
    url: str = field(default="https://files.grouplens.org/datasets/movielens", compare=False)
    timeout: float = field(default=30.0, compare=False)

    def __post_init__(self) -> None:
        find_release(self.variant)
        if not self.timeout > 0:
            raise ValueError(f"timeout is {self.timeout}, expected seconds above 0")

    @property
    def folder(self) -> Path:
        """Where the files lie, or will."""
        return Path(self.root) if self.root else Path(self.data_dir) / f"ml-{self.variant}"

    def files(self) -> tuple[Path, ...]:
        """Ratings and movies. Raises `DataError` where the folder lacks one or cannot be downloaded."""
        release = find_release(self.variant)
        if not self.folder.exists() and not self.root:
            name = f"ml-{self.variant}"
            fetch_archive(Archive(f"{self.url}/{name}.zip", release.sha256, name), self.folder, self.timeout)
        paths = (self.folder / release.ratings, self.folder / release.movies)
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            found = sorted(path.name for path in self.folder.glob("*")) or ["nothing"]
            raise DataError(
                f"MovieLens {self.variant} needs {' and '.join(missing)}, found {', '.join(found)}. "
                "Put the files there, or remove the folder and leave `root` out to download it anew",
                self.folder,
            )
        return paths

    def load(self) -> Corpus:
        """Read ratings in file order and all movies, rated or not."""
        ratings_path, movies_path = self.files()
        release = find_release(self.variant)
        ratings = read_rows(ratings_path, release.ratings_dialect)
        movies = read_rows(movies_path, release.movies_dialect)
        names = CSV_NAMES if self.variant == "latest-small" else {}
        movie_id = names.get("movie_id", "movie_id")
        interactions = interaction_table(
            ratings.keys(names.get("user_id", "user_id")),
            ratings.keys(movie_id),
            behaviour="rate",
            time=ratings.numbers("timestamp"),
            strength=ratings.numbers("rating"),
            file=ratings_path.name,
            line=ratings.lines(),
        )
        text = movie_text(movies)
        items = item_table(movies.keys(movie_id), text, movies_path.name, movies.lines())
        return assemble(f"movielens-{self.variant}", self.folder, interactions, items, tuple(text))


def find_release(variant: str) -> Release:
    """The release of that name. Raises ValueError with all of them."""
    if variant not in RELEASES:
        raise ValueError(f"variant {variant!r} is no MovieLens release; releases are: {', '.join(RELEASES)}")
    return RELEASES[variant]


def movie_text(movies: Rows) -> dict[str, pa.Array]:
    """Title, year (null where the title has none) and genres of every movie."""
    titled = [split_title(title) for title in movies.keys("title").to_pylist()]
    return {
        "title": pa.array([title for title, _ in titled], pa.string()),
        "year": pa.array([year for _, year in titled], pa.string()),
        "genres": pa.array(_genres(movies), pa.string()),
    }


def split_title(title: str) -> tuple[str, str | None]:
    """("The American President", "1995") from "American President, The (1995)"; also within alternative titles."""
    match = YEAR.match(title)
    name, year = (match[1], match[2]) if match else (title.strip(), None)
    return ARTICLE.sub(_article_first, name), year


def _article_first(match: re.Match[str]) -> str:
    opening, rest, article = match.groups()
    return f"{opening}{article}{'' if article.endswith(chr(39)) else ' '}{rest}"


def _genres(movies: Rows) -> list[str | None]:
    if "genres" in movies.table.column_names:
        listed = [(value or "").split("|") for value in movies.text("genres").to_pylist()]
    else:
        flags = zip(*(movies.text(genre).to_pylist() for genre in GENRES), strict=True)
        listed = [[genre for genre, flag in zip(GENRES, row, strict=True) if flag == "1"] for row in flags]
    return [", ".join(genre for genre in genres if genre not in NO_GENRE) or None for genres in listed]
