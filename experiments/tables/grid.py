"""A table before it has a form: cells with emphasis and marks. Console, Markdown and LaTeX draw the same record."""

from dataclasses import dataclass
from typing import Literal

Emphasis = Literal["plain", "best", "second"]


@dataclass(frozen=True)
class Cell:
    """marks are footnote signs, drawn behind the text. number: what the text says, unrounded, where it says a number;
    spread: of a measured one its deviation over seeds, or the two ends of its interval."""

    text: str
    emphasis: Emphasis = "plain"
    marks: tuple[str, ...] = ()
    number: float | None = None
    spread: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Grid:
    """Rows of cells under a header; the first `names` columns name the row. quoted: of the last rows, which were
    published and not measured, where each stands; they are drawn below a rule."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int
    quoted: tuple[str, ...] = ()

    @property
    def measured(self) -> int:
        """How many rows are above the quoted ones."""
        return len(self.rows) - len(self.quoted)


@dataclass(frozen=True)
class Report:
    """Tables, then the sentences that make them readable. notes: (sign, what it means)."""

    grids: tuple[Grid, ...]
    caption: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
