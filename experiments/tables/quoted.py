"""Published rows beside ours: what they add to a table, and which runs they may stand beside.

A quoted row is a number without its values per query, measured by somebody else's code: nothing can be tested against
it, and which of two rows is better is not known where their difference has no interval. So it is never bold or
underlined, and does not change who of ours is; it is there to be read beside ours. Only a row of ours that is the same
model, on the same data by the same protocol, is set against its paper, within a tolerance that the file states.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from experiments.config.leaves import look_up
from experiments.runs.read import Run
from experiments.tables.columns import Column
from experiments.tables.comparable import PROTOCOL, data_of, kinds_of, protocol_of
from experiments.tables.grid import Cell, Grid
from experiments.tables.published import Published, Quoted
from experiments.tables.rows import Row, TableError, stem_of
from experiments.units import NOTHING, accuracy, share

QUOTED = "§"


def require_alike(published: Sequence[Published], runs: Sequence[Run]) -> None:
    """Raise `TableError` where a finished run was made of other prepared data, or by another protocol, than a paper's
    rows."""
    for one in published:
        other = [run for run in runs if run.status == "done" and not _same_data(run, one)]
        if other:
            raise TableError(
                f"published {one.name} is of other prepared data than these runs: {' or '.join(one.data_digests)} "
                f"({one.name}); {kinds_of(other, data_of)}. Leave it out, give --mixed to put them side by side, or "
                f"where the log is the same add its digest to conf/published/{one.name}.yaml"
            )
        other = [run for run in runs if run.status == "done" and not _same_protocol(run, one)]
        if other:
            raise TableError(
                f"published {one.name} is of another evaluation protocol than these runs: {_protocol(one)} "
                f"({one.name}); {kinds_of(other, protocol_of)}. Leave it out, or give --mixed to put them side by side"
            )


def require_measured(published: Sequence[Published], metrics: Sequence[str]) -> None:
    """Raise `TableError` for a file that has none of the table's metrics."""
    for one in published:
        known = sorted({name for row in one.rows for name in row.metrics})
        if not set(known) & set(metrics):
            raise TableError(f"published {one.name} has none of {', '.join(metrics)}; it has: {', '.join(known)}")


def within(ours: float, paper: float, tolerance: float) -> bool:
    """Whether ours differs from the published number by at most `tolerance` of that, in whichever direction."""
    return abs(ours - paper) <= tolerance * abs(paper) * (1 + 1e-9)


@dataclass(frozen=True)
class Beside:
    """Our rows and their columns of accuracy, and what was published of the same."""

    rows: Sequence[Row]
    columns: Sequence[Column]
    published: Sequence[Published]

    def grid(self, ours: Grid) -> Grid:
        """The table with quoted rows below ours, and behind the metrics a column for each in which a row of ours
        reproduces a quoted one. What is ours stays as it was."""
        place = ours.names + len(self.columns)
        compared = [column for column in self.columns if any(self._against(row, column) for row in self.rows)]
        header = (*ours.header[:place], *(f"{one.metric} ours / paper" for one in compared), *ours.header[place:])
        cells = [
            (*old[:place], *(Cell(self._against(row, one) or NOTHING) for one in compared), *old[place:])
            for row, old in zip(self.rows, ours.rows, strict=True)
        ]
        quoted = [self._cells(row, ours.names, len(header)) for row in self._quoted]
        sources = tuple(row.source for row in self._quoted)
        return replace(ours, header=header, rows=(*cells, *quoted), quoted=sources)

    def sentences(self) -> Iterator[str]:
        """For the caption."""
        if self._quoted:
            yield (
                f"Rows marked {QUOTED} are quoted and were not measured here: they have no values per query, so they "
                "take part in no test, and best and second are ours alone."
            )
        if any(self._against(row, column) for row in self.rows for column in self.columns):
            shares = dict.fromkeys(share(one.tolerance) for one in self.published)
            yield (
                "Ours / paper: a row's mean and the published number of the model that it reproduces; within, where "
                f"they differ by at most {' or '.join(shares)} of the published one, outside, where by more. The noise "
                "of neither is counted."
            )

    def notes(self) -> Iterator[tuple[str, str]]:
        """Where each quoted row stands, what holds of a whole file, and which files no row of ours is set against."""
        yield from ((sign, text) for text, sign in self._signs.items())
        for one in self.published:
            if one.remark:
                yield "Published", f"{one.name}: {one.remark}."
        runs = [run for row in self.rows for run in row.done]
        for one in self.published:
            alike = [_alike(run, one) for run in runs]
            if not all(alike):
                which = "some rows" if any(alike) else "every row"
                yield "Mixed", f"{one.name} is of other data or another protocol than {which} here: do not compare."

    @cached_property
    def _quoted(self) -> list[Quoted]:
        """Rows that have one of the metrics."""
        metrics = {column.metric for column in self.columns}
        return [row for one in self.published for row in one.rows if metrics & row.metrics.keys()]

    @cached_property
    def _signs(self) -> dict[str, str]:
        """Each source and each remark with a sign of its own, which several rows may share."""
        texts = dict.fromkeys(text for row in self._quoted for text in _notes(row))
        return {text: f"{QUOTED}{place}" for place, text in enumerate(texts, 1)}

    def _cells(self, row: Quoted, names: int, width: int) -> tuple[Cell, ...]:
        name = Cell(row.model, marks=tuple(self._signs[text] for text in _notes(row)))
        measures = [row.metrics.get(column.metric) for column in self.columns]
        cells = [Cell(str(one), number=one.mean, spread=one.spread) if one else Cell(NOTHING) for one in measures]
        return (name, *[Cell(NOTHING)] * (names - 1), *cells, *[Cell(NOTHING)] * (width - names - len(cells)))

    def _against(self, row: Row, column: Column) -> str:
        """Our mean against each published number that the row reproduces, such as "0.0897 / 0.0859 within 5%"."""
        measured, metric = column.measures.get(row.label), column.metric
        if measured is None:
            return ""
        found = [(one, quoted) for one in self.published for quoted in reproduced(row, one) if metric in quoted.metrics]
        texts = []
        for one, quoted in found:
            paper = quoted.metrics[metric].mean
            verdict = "within" if within(measured.mean, paper, one.tolerance) else "outside"
            text = f"{accuracy(measured.mean)} / {accuracy(paper)} {verdict} {share(one.tolerance)}"
            texts.append(text if len(found) == 1 else f"{text} ({quoted.model} {self._signs[_notes(quoted)[0]]})")
        return "; ".join(texts)


def reproduced(row: Row, published: Published) -> list[Quoted]:
    """The quoted rows that all finished runs of ours are the models of, asked the same of the same data."""
    if not row.done or not all(_alike(run, published) for run in row.done):
        return []
    return [quoted for quoted in published.rows if quoted.ours and all(_is_set(run, quoted) for run in row.done)]


def _is_set(run: Run, quoted: Quoted) -> bool:
    """Whether the run has every setting of `ours`. A part is known by its file and not by the word that chose it, as
    several YAMLs may name one part."""
    for path, wanted in quoted.ours.items():
        found = look_up(run.config, path)
        if (stem_of(found) if isinstance(found, Mapping) and "_target_" in found else found) != wanted:
            return False
    return True


def _notes(row: Quoted) -> list[str]:
    return [f"quoted from {row.source}.", *([f"{row.remark}."] if row.remark else [])]


def _alike(run: Run, published: Published) -> bool:
    return _same_data(run, published) and _same_protocol(run, published)


def _same_data(run: Run, published: Published) -> bool:
    return data_of(run) in published.data_digests


def _same_protocol(run: Run, published: Published) -> bool:
    return protocol_of(run) == _protocol(published)


def _protocol(published: Published) -> str:
    return json.dumps({path: published.protocol[path] for path in PROTOCOL}, sort_keys=True)
