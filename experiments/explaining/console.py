"""An explanation as tables for a terminal."""

from collections.abc import Sequence
from itertools import pairwise

from experiments.explaining.record import Reason, Record
from experiments.explaining.words import date, heaviest, shortened, who
from experiments.tables.grid import Cell, Grid, Report
from experiments.units import share

MOST_INTERESTS = 12
MOST_EDGES = 8
MOST_GIVERS = 4
TITLE = 48
BARS = " ▁▂▃▄▅▆▇█"


def tables(record: Record) -> Report:
    """Interests with their weights over time, the strongest edges, and the parts of each score."""
    grids = [interests_grid(record), reasons_grid(record)]
    if record.edges:
        grids.insert(1, edges_grid(record))
    return Report(tuple(grids), tuple(_sentences(record)), ())


def interests_grid(record: Record) -> Grid:
    """The heaviest interests; "over time" has one bar for each moment, as high as the weight was."""
    rows = []
    for v in heaviest(record.interests)[:MOST_INTERESTS]:
        interest = record.interests[v]
        event = None if interest.event is None else record.events[interest.event]
        when = (
            "" if interest.event is None else date(record.events[interest.event].time) or f"event {interest.event + 1}"
        )
        behaviour = event.behaviour if event else ""
        weights = [row[v] for row in record.timeline]
        rows.append([shortened(interest.title, TITLE), behaviour, when, sparkline(weights), share(interest.weight)])
    left = len(record.interests) - len(rows)
    title = f"Interests of {who(record)}" + (f" (the {len(rows)} heaviest, {left} more weigh less)" if left else "")
    return _grid(title, ("interest", "behaviour", "when", "over time", "weight now"), rows, names=4)


def edges_grid(record: Record) -> Grid:
    """The strongest edges of the interest graph."""
    strongest = sorted(record.edges, key=lambda edge: -edge.cosine)[:MOST_EDGES]
    rows = [
        [
            shortened(record.events[edge.earlier].title, TITLE),
            shortened(record.events[edge.later].title, TITLE),
            f"{edge.cosine:.2f}",
        ]
        for edge in strongest
    ]
    title = f"Interest graph: {len(rows)} strongest of {len(record.edges)} edges, cosine above {record.tau:.3g}"
    return _grid(title, ("earlier", "later", "cosine"), rows, names=2)


def reasons_grid(record: Record) -> Grid:
    """What gave each score; the parts of an item add up to its score."""
    rows: list[list[str]] = []
    for reason in record.reasons:
        rows.append([f"{reason.place}. {shortened(reason.title, TITLE)}", "", f"{reason.score:.4f}"])
        rows += [["", f"+ {name}", f"{value:.4f}"] for name, value in parts(reason, record)]
    return _grid("Recommended, and what each interest gave", ("item", "from", "score"), rows, names=2)


def parts(reason: Reason, record: Record) -> list[tuple[str, float]]:
    """(name, value): the interests that gave most, the sum of the others, the prior; together the score."""
    order = sorted(range(len(reason.contributions)), key=lambda v: -abs(reason.contributions[v]))
    first = [v for v in order[:MOST_GIVERS] if reason.contributions[v]]
    found = [(shortened(record.interests[v].title, TITLE), reason.contributions[v]) for v in first]
    others = [reason.contributions[v] for v in order if v not in first]
    if any(others):
        found.append((f"{sum(map(bool, others))} other interests", sum(others)))
    if reason.prior:
        found.append(("prior of the item", reason.prior))
    return found


def sparkline(weights: Sequence[float], width: int = 24) -> str:
    """One bar for each of at most `width` stretches of time, blank for nothing; its mean weight on a scale to the
    highest."""
    cells = min(width, len(weights))
    edges = [len(weights) * i // cells for i in range(cells + 1)]
    means = [sum(weights[a:b]) / (b - a) for a, b in pairwise(edges)]
    top = max(means, default=0.0) or 1.0
    return "".join(BARS[-(-int(1000 * mean / top) * (len(BARS) - 1) // 1000)] for mean in means)


def _sentences(record: Record) -> list[str]:
    said = [record.meaning]
    if record.unseen:
        said.append(f"The model reads the last {len(record.events)} events; {record.unseen} earlier ones are left out.")
    if record.tau is None:
        said.append("Nothing in this model cuts off small cosines, so it has no interest graph.")
    if record.unknown:
        said.append(f"Unknown items left out of the history: {', '.join(record.unknown)}.")
    return said


def _grid(title: str, header: tuple[str, ...], rows: list[list[str]], names: int) -> Grid:
    return Grid(title, header, tuple(tuple(Cell(text) for text in row) for row in rows), names)
