"""A column of accuracy: who is best, who second, and who cannot be told apart from the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.tables.grid import Emphasis
from experiments.tables.measures import Measure, measure, per_query, require_same_queries, sign_of
from experiments.tables.rows import Label, Row
from experiments.tables.statistics import Comparison, compare


@dataclass(frozen=True)
class Column:
    """measures of the rows that have the metric; ranking from best to worst, rows of equal mean together.

    to_best, to_reference: comparisons with the best row, and with the row that the user named; each is a family of its
    own for the correction. Empty where there are no per-query values, or nothing to compare. queries: how many were
    compared.
    """

    metric: str
    measures: Mapping[Label, Measure]
    ranking: tuple[tuple[Label, ...], ...]
    best: Label | None
    to_best: Mapping[Label, Comparison]
    to_reference: Mapping[Label, Comparison]
    queries: int = 0

    def emphasis(self, label: Label) -> Emphasis:
        """Best and second best by mean, among at least two rows."""
        places = [place for place, labels in enumerate(self.ranking) if label in labels]
        if not places or len(self.measures) < 2 or places[0] > 1:
            return "plain"
        return "best" if places[0] == 0 else "second"


def make_column(rows: Sequence[Row], metric: str, reference: Label | None, paired: bool) -> Column:
    """Measure all rows and compare them. `paired` is False for rows of different data, which share no queries."""
    found = {row.label: measure(row, metric) for row in rows}
    measures = {label: value for label, value in found.items() if value is not None}
    means = sorted({value.mean for value in measures.values()}, reverse=sign_of(metric) > 0)
    ranking = tuple(tuple(label for label, value in measures.items() if value.mean == mean) for mean in means)
    if not paired:
        return Column(metric, measures, (), None, {}, {})
    values = _aligned([row for row in rows if row.label in measures], metric)
    best = ranking[0][0] if ranking else None
    to_best = compare(values, best) if best in values else {}
    to_reference = compare(values, reference) if reference in values else {}
    return Column(metric, measures, ranking, best, to_best, to_reference, len(next(iter(values.values()), ())))


def _aligned(rows: Sequence[Row], metric: str) -> dict[Label, np.ndarray]:
    """Per-query values of every row that keeps them, all over the same queries."""
    found = {row.label: (row, per_query(row, metric)) for row in rows}
    kept = {label: (row, values) for label, (row, values) in found.items() if values is not None}
    if not kept:
        return {}
    first_row, first = next(iter(kept.values()))
    for row, values in kept.values():
        require_same_queries(first, values, first_row.done[0], row.done[0])
    return {label: values.values for label, (_, values) in kept.items()}
