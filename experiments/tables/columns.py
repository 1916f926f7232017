"""A column of accuracy: who is best, who second, and who cannot be told apart from the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.direction import sign_of
from experiments.tables.grid import Emphasis
from experiments.tables.measures import Measure, answers, asked_alike, asked_by_labels, measure
from experiments.tables.rows import Label, Row
from experiments.tables.statistics import Comparison, Seeds, compare


@dataclass(frozen=True)
class Column:
    """measures of the rows that have the metric; ranking from best to worst, rows of equal mean together.

    to_best, to_reference: comparisons with the best row, and with the row that the user named; each is a family of its
    own for the correction. Empty where there are no per-query values, or nothing to compare. queries: how many were
    compared. apart: pairs that were not compared, since they have no seed in common. unlike: whether runs were asked
    different queries, as of cold items under other labels; then nothing is compared and no row is best.
    """

    metric: str
    measures: Mapping[Label, Measure]
    ranking: tuple[tuple[Label, ...], ...]
    best: Label | None
    to_best: Mapping[Label, Comparison]
    to_reference: Mapping[Label, Comparison]
    queries: int = 0
    apart: tuple[tuple[Label, Label], ...] = ()
    unlike: bool = False

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
    rounded = {label: round(value.mean, 12) for label, value in measures.items()}  # the order of seeds moves the last
    means = sorted(set(rounded.values()), reverse=sign_of(metric) > 0)
    ranking = tuple(tuple(label for label, mean in rounded.items() if mean == one) for one in means)
    shown = [row for row in rows if row.label in measures]
    values = _by_seed(shown, metric) if paired else None
    if values is None:
        return Column(metric, measures, (), None, {}, {}, unlike=paired)
    best = ranking[0][0] if ranking else None
    return Column(
        metric,
        measures,
        ranking,
        best,
        to_best=compare(values, best) if best in values else {},
        to_reference=compare(values, reference) if reference in values else {},
        queries=max((len(one) for seeds in values.values() for one in seeds.values()), default=0),
        apart=_apart(values, [label for label in dict.fromkeys((best, reference)) if label in values]),
    )


def _by_seed(rows: Sequence[Row], metric: str) -> dict[Label, Seeds] | None:
    """Per-query values of every row that keeps them; None where they are not of the same queries."""
    found = {row.label: kept for row in rows if (kept := answers(row, metric))}
    everything = [one for kept in found.values() for one in kept]
    if everything and not asked_alike(everything, metric):
        return None
    if not everything and asked_by_labels([run for row in rows for run in row.done], metric):
        return None
    return {label: {one.run.seed: one.values for one in kept} for label, kept in found.items()}


def _apart(values: Mapping[Label, Seeds], against: Sequence[Label]) -> tuple[tuple[Label, Label], ...]:
    return tuple((row, other) for other in against for row in values if not values[row].keys() & values[other].keys())
