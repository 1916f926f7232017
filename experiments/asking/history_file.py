"""Read histories from a table in a file."""

import csv
import math
from pathlib import Path

from datamodules.corpus import DataError
from datamodules.preparing.inspection import require_known
from experiments.asking.catalogue import Catalogue
from experiments.asking.history import NAMELESS, Event, History, usual_behaviour
from experiments.asking.moment import moment

COLUMNS = ("item", "title", "user", "behaviour", "time", "strength")


def read_histories(path: Path, catalogue: Catalogue) -> list[History]:
    """Histories from a table: tab-separated, or comma-separated where the name ends in .csv, with a header.

    Columns: `item` (id) or `title`, one of the two; and, where wanted, `user` (several histories in one file),
    `behaviour` (a name that the corpus has), `time` (seconds since 1970, or ISO 8601, UTC unless it says otherwise) and
    `strength` (in the corpus's unit). Rows stand in time order; where all of a user's rows have times, those decide.
    Raises `DataError` with file and line.
    """
    users: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in _rows(path):
        users.setdefault(row.get("user") or NAMELESS, []).append((line, row))
    if not users:
        raise DataError("holds no event below its header; write one line for each", path)
    return [_history(user, rows, path, catalogue) for user, rows in users.items()]


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("no such file", path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"not readable as UTF-8 text ({error})", path) from error
    reader = csv.reader(text.splitlines(), delimiter="," if path.suffix == ".csv" else "\t")
    header = [name.strip() for name in next(reader, [])]
    _require_header(header, path)
    rows = []
    for cells in reader:
        if any(cell.strip() for cell in cells):
            if len(cells) != len(header):
                raise DataError(f"has {len(cells)} cells, the header {len(header)}", path, reader.line_num)
            rows.append((reader.line_num, {k: cell.strip() for k, cell in zip(header, cells, strict=True)}))
    return rows


def _require_header(header: list[str], path: Path) -> None:
    if not header:
        raise DataError("is empty; its first line names the columns, such as item or title", path)
    for name in header:
        try:
            require_known(name, COLUMNS, "the header", "columns of a history")
        except DataError as error:
            raise DataError(str(error), path, 1) from None
    if ("item" in header) == ("title" in header):
        raise DataError(f"has the columns {', '.join(header)}; exactly one of item and title says what it was", path, 1)


def _history(user: str, rows: list[tuple[int, dict[str, str]]], path: Path, catalogue: Catalogue) -> History:
    """One user's rows. Items are looked up first, so that all that are unknown are named together."""
    keys = [row["item"] for _, row in rows if "item" in row]
    unknown = catalogue.by_key(keys)[1] if keys else []
    events = [_event(line, row, path, catalogue) for line, row in rows if row.get("item") not in set(unknown)]
    timed = [event for event in events if event.time is not None]
    if timed and len(timed) < len(events):
        line = next(line for line, row in rows if not row.get("time"))
        raise DataError(f"user {user!r} has times on other lines but none here; give all or none", path, line)
    if timed:
        events.sort(key=lambda event: event.time or 0.0)
    return History(user, tuple(events), tuple(unknown))


def _event(line: int, row: dict[str, str], path: Path, catalogue: Catalogue) -> Event:
    try:
        item = catalogue.by_key([row["item"]])[0][0] if "item" in row else catalogue.by_title(row["title"])
        strength = _number(row["strength"]) if row.get("strength") else math.nan
        time = moment(row["time"]) if row.get("time") else None
        return Event(item, _behaviour(row.get("behaviour", ""), catalogue), time, strength)
    except ValueError as error:
        raise DataError(str(error), path, line) from error


def _behaviour(name: str, catalogue: Catalogue) -> int:
    if not name:
        return usual_behaviour(catalogue)
    known = catalogue.prepared.behaviours
    require_known(name, known[1:], "the history", f"behaviours of {catalogue.prepared.name!r}")
    return known.index(name)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"strength {text!r} is no number; leave it empty where it is unknown") from None
