"""Titles as people type them, on a catalogue of seven."""

import pytest

from experiments.asking.catalogue import Catalogue
from tests.datamodules.small_corpus import prepared

TITLES = {
    "a": "Toy Story (1995)",
    "b": "Toy Story 2 (1999)",
    "c": "Heat",
    "d": "Red Heat",
    "e": "The Matrix",
    "f": "Twins",
    "g": "Twins",
}
EVENTS = [("u", "a"), ("u", "b"), ("v", "g"), ("w", "g")]


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(prepared(tmp_path, EVENTS, keys=list(TITLES), title=list(TITLES.values())))


def key(catalogue, title):
    return catalogue.prepared.item_keys[catalogue.by_title(title)]


@pytest.mark.parametrize(
    ("title", "item"),
    [
        ("toy story (1995)", "a"),
        ("TOY  story", "a"),  # the same up to the bracket, before the beginning of another
        ("Toy Story 2", "b"),
        ("heat", "c"),  # the same words, though another title holds them
        ("red", "d"),
        ("the m", "e"),
        ("matrix", "e"),
    ],
)
def test_a_title_means_one_item(title, item, catalogue):
    assert key(catalogue, title) == item


def test_several_fitting_titles_are_listed_the_popular_first(catalogue):
    with pytest.raises(ValueError, match=r"'twins' fits 2 items: 'Twins' \(id g\), 'Twins' \(id f\)"):
        catalogue.by_title("twins")
    with pytest.raises(ValueError, match=r"'toy' fits 2 items"):
        catalogue.by_title("toy")


def test_the_nearest_titles_are_named(catalogue):
    with pytest.raises(ValueError, match=r"no title in small is or holds 'Hate'; the nearest are 'Heat' \(id c\)"):
        catalogue.by_title("Hate")


def test_an_item_without_a_title_goes_by_its_key(tmp_path):
    found = Catalogue(prepared(tmp_path, EVENTS, keys=list("abg"), title=["A", None, ""]))
    assert sorted(found.titles) == ["A", "b", "g"]


def test_unknown_keys_are_told_apart(catalogue):
    known, unknown = catalogue.by_key(["a", "x", "c", "y"])
    assert [catalogue.prepared.item_keys[item] for item in known] == ["a", "c"]
    assert unknown == ["x", "y"]
