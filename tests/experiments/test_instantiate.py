"""What a configuration describes is built, and every part gets the facts that it asks for."""

import functools

import pytest

from experiments.config.instantiate import instantiate

PARTS = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Leaf:
    n_items: int
    names: tuple[str, ...] = ()

@dataclass(frozen=True)
class Branch:
    leaves: list[Leaf]
    best: Leaf | None = None
    scale: float = 1.0

def grow(branch: Branch, n_items: int, times: int = 1):
    return branch, n_items, times
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    name = f"grown_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_fact_reaches_every_nested_part_that_names_it_and_no_other(parts):
    leaf = {"_target_": f"{parts}.Leaf", "names": ["a"]}
    made = instantiate({"_target_": f"{parts}.Branch", "leaves": [leaf, leaf], "best": leaf}, n_items=5, unused=1)
    assert [one.n_items for one in (*made.leaves, made.best)] == [5, 5, 5]
    assert made.scale == 1.0


def test_a_nested_part_keeps_its_own_default(parts):
    """The run's seed is not the seed of the simulated corpus within the data module."""
    inner = {"_target_": f"{parts}.Branch", "leaves": []}
    branch, _, times = instantiate({"_target_": f"{parts}.grow", "branch": inner}, n_items=1, scale=9.0, times=2)
    assert (branch.scale, times) == (1.0, 2)


def test_a_list_becomes_a_tuple_where_the_signature_says_so(parts):
    assert instantiate({"_target_": f"{parts}.Leaf", "n_items": 1, "names": ["a", "b"]}).names == ("a", "b")


def test_a_partial_waits_for_its_caller(parts):
    made = instantiate({"_target_": f"{parts}.grow", "_partial_": True, "times": 3}, n_items=2)
    assert isinstance(made, functools.partial)
    assert made(branch="b") == ("b", 2, 3)


def test_plain_mappings_and_values_stay_what_they_are(parts):
    built = instantiate({"x": {"_target_": f"{parts}.Leaf", "n_items": 1}, "y": [1, None]})
    assert built["x"].n_items == 1
    assert built["y"] == [1, None]


def test_a_value_that_code_supplies_and_yaml_sets_is_refused(parts):
    with pytest.raises(ValueError, match="Leaf: n_items is supplied by code and also set in the configuration"):
        instantiate({"_target_": f"{parts}.Leaf", "n_items": 1}, n_items=2)
