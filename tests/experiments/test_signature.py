"""Signatures are read from source, and nothing is imported on the way."""

import sys

import pytest

from experiments.config.signature import Computed, TargetError, signature

PARTS = '''
"""Parts of every shape that a target may have."""
from dataclasses import dataclass, field
from typing import ClassVar
import {name}_bases as bases
from {name}_bases import *

RATE = 0.5
raise RuntimeError("this file must be read, not imported")


class Plain:
    def __init__(self, a: int, b: float = RATE, *rest, c: str = "x", **anything): ...

class Child(bases.Base): ...
class Grandchild(Child, Starred): ...
class Bare: ...
class Strange(make_base()): ...

@dataclass(frozen=True)
class Record(bases.Fields):
    b: tuple[str, ...] = ()
    c: int = field(default=3, compare=False)
    d: list[int] = field(default_factory=list)
    hidden: int = field(default=1, init=False)
    KIND: ClassVar[str] = "record"
    e: float = 1 / 8

@functools.wraps(print)
def made(size: int, *, shape: tuple = (1, -2)): ...
'''
BASES = """
from dataclasses import dataclass

class Base:
    @decorated
    def __init__(self, width: int = 7): ...

class Starred:
    def __init__(self, wrong: int = 1): ...

@dataclass
class Fields:
    a: int
    b: int = 1
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """The name of a module outside the repository that cannot be imported, only read."""
    name = f"parts_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(PARTS.replace("{name}", name))
    (tmp_path / f"{name}_bases.py").write_text(BASES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def _defaults(target):
    return {name: one.default for name, one in signature(target).parameters.items() if not one.required}


def test_a_constructor_is_read_with_constants_of_its_file(parts):
    found = signature(f"{parts}.Plain")
    assert list(found.parameters) == ["a", "b", "c"]
    assert found.takes_anything
    assert _defaults(f"{parts}.Plain") == {"b": 0.5, "c": "x"}


def test_a_missing_constructor_is_that_of_the_first_base_that_has_one(parts):
    assert _defaults(f"{parts}.Child") == {"width": 7}
    assert _defaults(f"{parts}.Grandchild") == {"width": 7}
    assert _defaults(f"{parts}.Bare") == {}
    assert not signature(f"{parts}.Bare").takes_anything
    assert signature(f"{parts}.Strange").takes_anything


def test_fields_of_a_dataclass_and_of_its_base_are_its_arguments(parts):
    found = signature(f"{parts}.Record")
    assert list(found.parameters) == ["a", "b", "c", "d", "e"]
    assert found.parameters["a"].required
    assert _defaults(f"{parts}.Record") == {"b": (), "c": 3, "d": [], "e": Computed("1 / 8")}
    assert [name for name, one in found.parameters.items() if not one.compared] == ["c"]


def test_a_function_is_a_target_too(parts):
    assert _defaults(f"{parts}.made") == {"shape": (1, -2)}
    assert signature(f"{parts}.made").parameters["size"].required


@pytest.mark.parametrize(
    ("target", "argument", "default"),
    [
        ("torch.optim.adamw.AdamW", "weight_decay", 0.01),
        ("pytorch_lightning.trainer.trainer.Trainer", "accumulate_grad_batches", 1),  # its constructor is decorated
        ("pytorch_lightning.callbacks.early_stopping.EarlyStopping", "patience", 3),
        ("pytorch_lightning.callbacks.weight_averaging.EMAWeightAveraging", "decay", 0.999),
        ("datamodules.preparing.preparation.Filters", "duplicates", "keep"),
        ("lightning_modules.schedulers.warmup_cosine", "warmup", 0.05),
    ],
)
def test_signatures_of_what_we_configure(target, argument, default):
    assert _defaults(target)[argument] == default


def test_the_reading_agrees_with_python_itself():
    import inspect

    from torch.optim.adamw import AdamW

    theirs = inspect.signature(AdamW).parameters
    ours = signature("torch.optim.adamw.AdamW").parameters
    assert list(ours) == list(theirs)
    assert {name: one.default for name, one in ours.items() if not one.required} == {
        name: one.default for name, one in theirs.items() if one.default is not inspect.Parameter.empty
    }


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("torch.optim.AdamW", "write torch.optim.adamw.AdamW"),
        ("torch.optim.adamw.AdmW", "did you mean 'AdamW'?"),
        ("lightning_modules.heds.graph.GraphHead", "did you mean 'heads'?"),
        ("nothing_like_this.Part", "there is no Python module 'nothing_like_this'"),
        ("Part", "there is no Python module 'Part'"),
    ],
)
def test_a_wrong_target_is_answered_with_the_nearest_right_one(target, says):
    with pytest.raises(TargetError) as raised:
        signature(target)
    assert says in str(raised.value)


def test_reading_imports_nothing(parts):
    before = set(sys.modules)
    signature(f"{parts}.Record")
    signature("pytorch_lightning.callbacks.timer.Timer")
    assert not {
        name for name in set(sys.modules) - before if name.startswith((parts, "pytorch_lightning.callbacks.timer"))
    }
