"""Put a table together: accuracy with its marks, cost, the differences behind the marks, caption and footnotes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase

from experiments.runs.read import Run
from experiments.tables.caption import caption
from experiments.tables.columns import Column, make_column
from experiments.tables.comparable import some
from experiments.tables.costs import USUAL, cost_cells, headers
from experiments.tables.grid import Cell, Grid, Report
from experiments.tables.picking import Trials
from experiments.tables.published import Published
from experiments.tables.quoted import Beside
from experiments.tables.rows import Label, Row
from experiments.tables.statistics import Comparison
from experiments.units import NOTHING, probability

EQUAL, DIFFERENT, DIRTY, STALE = "≈", "*", "†", "‡"


@dataclass(frozen=True)
class Content:
    """What is shown: rows named by `keys`, measured by `metrics`. reference: the row that the user wants all others
    compared with. paired: whether rows share their queries. source: digest of the present source, "" if unknown.
    trials: what each row was chosen from, by `monitor`, where it was. unmeasured: finished runs that are no rows, since
    they have none of the metrics. costs: words of `experiments.tables.costs`. published: what stands quoted below."""

    title: str
    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    reference: Label | None = None
    paired: bool = True
    source: str = ""
    trials: Mapping[Label, Trials] = field(default_factory=dict)
    monitor: str = ""
    unmeasured: tuple[Run, ...] = ()
    costs: tuple[str, ...] = USUAL
    published: tuple[Published, ...] = ()


def make_report(content: Content) -> Report:
    """The table, and a second one of the paired differences where there are any."""
    columns = [make_column(content.rows, metric, content.reference, content.paired) for metric in content.metrics]
    reasons = _reasons(content)
    beside = Beside(content.rows, columns, content.published)
    table = beside.grid(_accuracy_and_cost(content, columns, reasons))
    grids = [table, *_differences(content, columns)]
    name = "" if content.reference is None else _name(content.reference)
    notes = [*_signs(content, columns, name), *((sign, text) for text, sign in reasons.items()), *beside.notes()]
    sentences = (*caption(content.rows, columns, name, content.keys), *_budget(content), *beside.sentences())
    return Report(tuple(grids), sentences, tuple(notes))


def _budget(content: Content) -> Iterator[str]:
    """Whether every row had the same chances."""
    counts = sorted({trials.count for trials in content.trials.values()})
    if counts:
        each = f"{counts[0]} trials of each row" if len(counts) == 1 else f"a row's trials (unequal: {counts})"
        yield f"Chosen by {content.monitor} among {each}, never by the test."
    failed = [f"{trials.failed} of {_name(label)}" for label, trials in content.trials.items() if trials.failed]
    if failed:
        yield f"Trials without a result: {'; '.join(failed)}."


def _accuracy_and_cost(content: Content, columns: Sequence[Column], reasons: dict[str, str]) -> Grid:
    seeds = ("seeds",) if len({len(row.done) for row in content.rows if row.done}) > 1 else ()
    seeds = (*seeds, "trials") if content.trials else seeds
    header = (*(content.keys or ("run",)), *content.metrics, *seeds, *headers(content.costs))
    rows, costs = [], cost_cells(content.rows, content.costs)
    for row in content.rows:
        numbers = [len(row.done)] if "seeds" in seeds else []
        numbers += [content.trials[row.label].count] if content.trials else []
        count = [Cell(str(number), number=number) for number in numbers]
        cells = [_accuracy_cell(row, column) for column in columns]
        rows.append((*_names(row, content, reasons), *cells, *count, *costs[row.label]))
    return Grid(content.title, header, tuple(rows), max(1, len(content.keys)))


def _names(row: Row, content: Content, reasons: dict[str, str]) -> list[Cell]:
    """The cells that name the row; the last carries the footnotes."""
    marks = [DIRTY] if _is_dirty(row) else []
    marks += [STALE] if _is_stale(row, content.source) else []
    marks += [reasons[text] for text in _lost(row, content) if text]
    names = row.label or ((row.done or row.lost)[0].id,)
    return [*map(Cell, names[:-1]), Cell(names[-1], marks=tuple(marks))]


def _accuracy_cell(row: Row, column: Column) -> Cell:
    measured = column.measures.get(row.label)
    if measured is None:
        return Cell(NOTHING if row.done else row.lost[0].status)
    marks = []
    if row.label in column.to_best and not column.to_best[row.label].significant:
        marks.append(EQUAL)
    if row.label in column.to_reference and column.to_reference[row.label].significant:
        marks.append(DIFFERENT)
    return Cell(str(measured), column.emphasis(row.label), tuple(marks), measured.mean, measured.spread)


def _differences(content: Content, columns: Sequence[Column]) -> Iterator[Grid]:
    """Against the named reference, then against each column's best row where that is another; nothing where nothing was
    compared."""
    named, title = content.reference, "Paired differences"
    if named is not None:
        yield from _compared(title, content, [(column, named, column.to_reference) for column in columns])
        title += " from the best"
    others = [(column, column.best, column.to_best) for column in columns if column.best not in (None, named)]
    yield from _compared(title, content, others)


def _compared(
    title: str, content: Content, columns: Sequence[tuple[Column, Label | None, Mapping[Label, Comparison]]]
) -> Iterator[Grid]:
    rows = [
        (*map(Cell, label), Cell(_name(reference or ())), Cell(column.metric), *_comparison(one))
        for column, reference, found in columns
        for label, one in found.items()
    ]
    if rows:
        numbers = ("seeds", "difference", "95% interval", "effect", "p", "p (Holm)", "p (t)", "seen from")
        header = (*content.keys, "against", "metric", *numbers)
        yield Grid(title, header, tuple(rows), len(content.keys) + 2)


def _comparison(found: Comparison) -> list[Cell]:
    low, high = found.interval
    cells = [
        (str(found.seeds), found.seeds),
        (f"{found.difference:+.4f}", found.difference),
        (f"[{low:+.4f}, {high:+.4f}]", low),
        (f"{found.effect:+.2f}", found.effect),
        (probability(found.p), found.p),
        (probability(found.adjusted), found.adjusted),
        (probability(found.t), found.t),
        (f"{found.detectable:.4f}", found.detectable),
    ]
    return [Cell(text, number=number) for text, number in cells]


def _signs(content: Content, columns: Sequence[Column], reference: str) -> Iterator[tuple[str, str]]:
    """Footnotes of the signs that occur."""
    if any(not found.significant for column in columns for found in column.to_best.values()):
        yield (
            EQUAL,
            "not told apart from the best: its corrected p is not below the level, which shows no equality.",
        )
    if any(found.significant for column in columns for found in column.to_reference.values()):
        yield DIFFERENT, f"different from {reference}: its corrected p is below the level."
    if any(_is_dirty(row) for row in content.rows):
        yield DIRTY, "made from a tree with changes that are in no commit."
    if any(_is_stale(row, content.source) for row in content.rows):
        yield STALE, "stale: made by other source code than the present one; rerun=stale makes it anew."
    machines = {_machine(run) for row in content.rows for run in row.done if run.provenance.get("hardware")}
    if len(machines) > 1:
        yield "Cost", f"was measured on unequal hardware ({'; '.join(sorted(machines))}), so times do not compare."
    yield from _untested(content, columns)
    if content.unmeasured:
        yield "Left out", f"for having none of these metrics, though finished: {some(content.unmeasured)}."


def _untested(content: Content, columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """Footnotes of what was not compared."""
    if not content.paired:
        yield "Mixed", "rows of different data or protocols stand together: nothing was tested, no row is best."
    pairs = dict.fromkeys(pair for column in columns for pair in column.apart)
    if pairs:
        named = "; ".join(f"{_name(row)} against {_name(other)}" for row, other in pairs)
        yield "Untested", f"for having no seed in common: {named}."
    unlike = ", ".join(column.metric for column in columns if column.unlike)
    if unlike:
        why = "decide which items are cold and which users validation asks, and these runs have different ones"
        yield "Labels", f"{why}: so in {unlike} nothing was tested, and no row is best."


def _reasons(content: Content) -> dict[str, str]:
    """Why jobs are missing, each text with a letter of its own."""
    texts = dict.fromkeys(text for row in content.rows for text in _lost(row, content) if text)
    return {text: f"({_letter(place)})" for place, text in enumerate(texts)}


def _lost(row: Row, content: Content) -> list[str]:
    """Why jobs of the row gave nothing, and of the trials that it was chosen from."""
    trials = content.trials[row.label].lost if content.trials else ()
    return list(dict.fromkeys([*map(_reason, row.lost), *(_reason(run, f"{tried}, ") for tried, run in trials)]))


def _reason(run: Run, tried: str = "") -> str:
    """What befell a job that is not done, named by its seed; "" where no more is known than that it never started."""
    seed = "" if run.seed is None else f"seed {run.seed} "
    return f"{tried}{seed}{run.status}: {run.reason}." if run.reason else ""


def _letter(place: int) -> str:
    """a ... z, aa, ab, ..."""
    rest, last = divmod(place, len(ascii_lowercase))
    return (_letter(rest - 1) if rest else "") + ascii_lowercase[last]


def _machine(run: Run) -> str:
    """What the seconds are of."""
    threads = run.provenance.get("threads")
    return f"{run.provenance['hardware']}" + (f", {threads} thread{'s' * (threads != 1)}" if threads else "")


def _is_dirty(row: Row) -> bool:
    return any(run.provenance.get("dirty") for run in row.done)


def _is_stale(row: Row, source: str) -> bool:
    made_by = {run.provenance.get("source_digest") for run in row.done} - {None}
    return bool(source) and bool(made_by - {source})


def _name(label: Label) -> str:
    return ", ".join(label)
