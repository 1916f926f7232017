"""Texts of unequal length end to end: where each stands, and which stand side by side with others of its length."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Int, Shaped
from torch import Tensor


@dataclass(frozen=True)
class Run:
    """`count` texts of `length` tokens each, end to end."""

    count: int
    length: int


def rectangles(tokens: Shaped[Tensor, "L *rest"], runs: Sequence[Run]) -> list[Tensor]:
    """The tokens of each run as (count, length, *rest): views without padding. Cut in one operation, whose gradient is
    put together in one."""
    parts = tokens.split([run.count * run.length for run in runs])
    return [part.unflatten(0, (run.count, run.length)) for part, run in zip(parts, runs, strict=True)]


def runs_of(lengths: Sequence[int]) -> tuple[Run, ...]:
    """Neighbours of equal length together. Texts sorted by length make few runs; any order makes right ones."""
    return tuple(Run(sum(1 for _ in group), length) for length, group in groupby(lengths))


def positions(runs: Sequence[Run], device: torch.device | None = None) -> Int[Tensor, " L"]:
    """Number of each token within its text, from 0."""
    return torch.cat([torch.arange(run.length, device=device).repeat(run.count) for run in runs])
