"""The corpora of the comparison, as words on our command line."""

import csv
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.checking import data_dir
from datamodules.storage import atomic_folder
from experiments.runs.provenance import ROOT

CACHE = ROOT / "runs" / "cache"
PARTS = ("train", "dev")


def corpus_words(name: str) -> list[str]:
    """Overrides that choose the corpus. Raises `ValueError` for another name."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    data_dir()
    if name == "ml100k":
        return ["datamodule=atomic"]
    if name == "beauty":
        return ["datamodule=sequences", "datamodule.source.name=amazon_beauty"]
    if name == "mind":
        return ["datamodule=sequences", "datamodule.source.name=mind_titles", f"datamodule.source.root={mind_titles()}"]
    raise ValueError(f"corpus {name!r} is unknown; choose ml100k, mind or beauty")


def mind_titles() -> Path:
    """MIND's titles and click histories as a sequence file: the history of a user, then what she clicked, in time
    order. Made once, in the cache of runs; the corpus itself stays where it lies."""
    folder = CACHE / "mind_titles"
    if not folder.is_dir():
        with atomic_folder(folder) as made:
            _write(made, data_dir() / "mind")
    return folder


def _write(folder: Path, mind: Path) -> None:
    titles = {row[0]: row[3] for part in PARTS for row in _rows(mind / part / "news.tsv")}
    number = {news: k + 1 for k, news in enumerate(sorted(titles))}
    with (folder / "items.tsv").open("w", encoding="utf-8") as file:
        file.write("item_id\ttitle\n")
        file.writelines(f"{k}\t{' '.join(titles[news].split())}\n" for news, k in number.items())
    with (folder / "sequences.txt").open("w", encoding="utf-8") as file:
        for user, clicks in enumerate(_clicks(mind).values(), start=1):
            known = [str(number[news]) for news in clicks if news in number]
            if known:
                file.write(f"{user} {' '.join(known)}\n")


def _clicks(mind: Path) -> dict[str, list[str]]:
    """What each user read, oldest first. The history stands in each of a user's impressions; the longest one counts."""
    histories: dict[str, list[str]] = defaultdict(list)
    clicked: dict[str, list[str]] = defaultdict(list)
    for part in PARTS:
        for _, user, _, history, shown in _rows(mind / part / "behaviors.tsv"):
            histories[user] = max(histories[user], history.split(), key=len)
            clicked[user] += [entry[:-2] for entry in shown.split() if entry.endswith("-1")]
    return {user: histories[user] + clicked[user] for user in histories}


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
