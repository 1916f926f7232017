"""Raw log -> filters -> numbered columns on disk, made once and reused.

The relational work is written once, as Ibis expressions; DuckDB, embedded, runs it unless `prepare` is given another
engine's connection. Ibis is imported where it is used: a program whose corpus is prepared already loads neither.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datamodules.corpus import SPLITS, Corpus, DataError, Source
from datamodules.preparing.inspection import inspect, require_known
from datamodules.preparing.numbering import behaviour_names, number, report
from datamodules.preparing.prepared import Description, Prepared, write_prepared
from datamodules.storage import atomic_folder, digest, digest_file, lease

PREPARATION_EPOCH = 1
"""Raised with every change of the code that makes another content of the same files: old folders are then left alone.
"""

Duplicates = Literal["keep", "first", "last"]
Relation = Any
"""An Ibis table expression; named so that this file needs no Ibis to be read."""
Keep = Callable[[Any], Relation]
"""Evaluates a table into a temporary one of the engine."""

_ORDER = ["split", "time", "row"]  # ties in time by row of reading: SQL knows no file order, so rows carry their number


@dataclass(frozen=True)
class Filters:
    """What of a log is kept, applied in this order: behaviours, strength, duplicates, then the core.

    behaviours: the kinds to keep; empty keeps all. min_strength: in the source's unit; an event without strength is
    dropped. duplicates: of several events of a user with one item keep all, the first or the last. min_user_events,
    min_item_events: repeated until every user and every item left has so many (the k-core, which does not depend on
    who is removed first). Items without events stay in the catalogue (cold) unless min_item_events asks for some.
    """

    min_user_events: int = 0
    min_item_events: int = 0
    min_strength: float | None = None
    behaviours: Sequence[str] = ()
    duplicates: Duplicates = "keep"

    def __post_init__(self) -> None:
        if isinstance(self.behaviours, str):
            raise ValueError(f"filters.behaviours is the word {self.behaviours!r}; give a list, [{self.behaviours}]")
        object.__setattr__(self, "behaviours", tuple(self.behaviours))
        for name in ("min_user_events", "min_item_events"):
            if getattr(self, name) < 0:
                raise ValueError(f"filters.{name} is {getattr(self, name)}; it counts events, from 0 (no filter)")
        if self.duplicates not in get_args(Duplicates):
            raise ValueError(f"filters.duplicates is {self.duplicates!r}, none of {', '.join(get_args(Duplicates))}")


def prepare(source: Source, filters: Filters, root: Path, connection: Any = None) -> Prepared:
    """The prepared corpus under root/prepared, made now if it is not there. Processes that ask at once make it once.

    connection: an Ibis connection of another engine; the result is the same. Raises `DataError` for unusable input, for
    filters that leave nothing, for a full disk and for a damaged folder.
    """
    home, mark = Path(root) / "prepared", fingerprint(source, filters)
    if found := _finished(home, mark):
        return Prepared.open(found)
    home.mkdir(parents=True, exist_ok=True)
    with lease(home / f".{mark}.lock"):
        return Prepared.open(_finished(home, mark) or _make(source, filters, home, mark, connection))


def fingerprint(source: Source, filters: Filters) -> str:
    """What determines the contents: kind and settings of the source, the raw files' contents, filters, epoch."""
    kind = type(source)
    compared = [field.name for field in fields(source) if field.compare]  # type: ignore[arg-type]  # see Source
    return digest(
        {
            "epoch": PREPARATION_EPOCH,
            "source": f"{kind.__module__}.{kind.__qualname__}",
            "settings": {name: _plain(getattr(source, name)) for name in compared},
            "files": [(path.name, digest_file(path)) for path in source.files()],
            "filters": asdict(filters),
        }
    )


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _finished(home: Path, mark: str) -> Path | None:
    return next(iter(sorted(home.glob(f"*-{mark}"))), None)


def _make(source: Source, filters: Filters, home: Path, mark: str, connection: Any) -> Path:
    corpus = source.load()
    inspect(corpus)
    for name in filters.behaviours:
        known = sorted(corpus.interactions["behaviour"].unique().to_pylist())
        require_known(name, known, "filters.behaviours", f"behaviours of {corpus.name!r}")
    with _workspace(home, connection) as keep:
        events, catalogue, counts = _relate(keep, corpus, filters)
    columns, users, items = number(events, catalogue, corpus)
    names, about = behaviour_names(events), report(columns, items.num_rows, counts)
    target = home / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', corpus.name)}-{mark}"
    with atomic_folder(target) as folder:
        write_prepared(folder, columns, users, items, Description(corpus.name, corpus.fields, names, about))
    return target


@contextmanager
def _workspace(home: Path, connection: Any) -> Iterator[Keep]:
    """A function that evaluates a table into a temporary one, in an engine of our own unless one is given."""
    import ibis

    engine = connection or ibis.duckdb.connect(temp_directory=str(home / f".spill-{uuid4().hex}"))
    names: list[str] = []

    def keep(table: Any) -> Relation:
        names.append(f"interestlab_{uuid4().hex}")
        engine.create_table(names[-1], table, temp=True)
        return engine.table(names[-1])

    try:
        yield keep
    finally:
        for name in names:
            engine.drop_table(name, force=True)
        if connection is None:
            engine.disconnect()


def _relate(keep: Keep, corpus: Corpus, filters: Filters) -> tuple[pa.Table, np.ndarray, list[dict[str, Any]]]:
    """Events in their final order, the rows of the items table that stay, and the counts after each filter."""
    items = keep(pa.table({"item": corpus.items["item"], "item_row": np.arange(corpus.items.num_rows)}))
    events = keep(_handed_over(corpus.interactions))
    counts = [_count("read", events)]
    for label, events in _filtered(keep, events, filters):  # noqa: B020  # each filter narrows the last
        counts.append(_count(label, events))
        _require_events(corpus.name, counts)
    kept = items.semi_join(events, "item") if filters.min_item_events else items
    catalogue = kept.order_by("item_row").to_pyarrow()["item_row"].to_numpy()
    ordered = events.mutate(seen=events.row.min().over(group_by="user")).join(items, "item")
    columns = ["user", "seen", "item_row", "time", "behaviour", "strength", "split", "row"]
    return ordered.select(columns).order_by("seen", *_ORDER).to_pyarrow(), catalogue, counts


def _handed_over(interactions: pa.Table) -> pa.Table:
    """What the engine needs, with numbers for rows and splits; NaN becomes null, for engines differ on how NaN
    compares."""
    strength = interactions["strength"].cast(pa.float64())
    split = pc.fill_null(pc.index_in(interactions["split"], value_set=pa.array(SPLITS)), -1)
    return pa.table(
        {
            **{name: interactions[name] for name in ("user", "item", "behaviour")},
            "time": interactions["time"].cast(pa.float64()),
            "strength": pc.if_else(pc.is_nan(strength), pa.scalar(None, pa.float64()), strength),
            "split": split.cast(pa.int32()),
            "row": np.arange(interactions.num_rows),
        }
    )


def _filtered(keep: Keep, events: Relation, filters: Filters) -> Iterator[tuple[str, Relation]]:
    """What is left after each filter that is asked for."""
    if filters.behaviours:
        events = keep(events.filter(events.behaviour.isin(filters.behaviours)))
        yield f"behaviours=[{','.join(filters.behaviours)}]", events
    if filters.min_strength is not None:
        events = keep(events.filter(events.strength >= filters.min_strength))
        yield f"min_strength={filters.min_strength}", events
    if filters.duplicates != "keep":
        events = keep(_without_duplicates(events, filters.duplicates))
        yield f"duplicates={filters.duplicates}", events
    least = {"user": filters.min_user_events, "item": filters.min_item_events}
    if any(least.values()):
        label = ", ".join(f"min_{key}_events={n}" for key, n in least.items() if n)
        yield label, _core(keep, events, least)


def _without_duplicates(events: Relation, which: Duplicates) -> Relation:
    order = [events[name] if which == "first" else events[name].desc() for name in _ORDER]
    place = events.row.count().over(group_by=["user", "item"], order_by=order, rows=(None, 0))
    return events.mutate(place=place).filter(lambda table: table.place == 1).drop("place")


def _core(keep: Keep, events: Relation, least: dict[str, int]) -> Relation:
    """The k-core: drop rare users and rare items until none is left to drop."""
    before, after = -1, events.count().to_pyarrow().as_py()
    while after != before:
        for key, n in least.items():
            if n > 1:
                counts = events.group_by(key).aggregate(n=events.count())
                events = events.semi_join(counts.filter(counts.n >= n), key)
        events = keep(events)
        before, after = after, events.count().to_pyarrow().as_py()
    return events


def _count(label: str, events: Relation) -> dict[str, Any]:
    total = events.aggregate(events=events.count(), users=events.user.nunique(), items=events.item.nunique())
    return {"filter": label, **total.to_pyarrow().to_pylist()[0]}


def _require_events(name: str, counts: list[dict[str, Any]]) -> None:
    if counts[-1]["events"]:
        return
    steps = pairwise(counts)
    story = "; ".join(f"{b['filter']} removed {a['events'] - b['events']:,} of {a['events']:,}" for a, b in steps)
    raise DataError(f"no event of {name!r} is left: {story}. Loosen {counts[-1]['filter']}")
