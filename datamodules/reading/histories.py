"""Sequences put together again from rows of (history, target), as RecBole's benchmark files hold them.

RecBole's augmentation writes one row for each target; UniSRec writes a user's rows from the last target to the first
and keeps at most the last 50 items of each history. So a user's rows are tried in file order and in reverse, and a
history is compared with the tail of the sequence so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from datamodules.corpus import DataError
from datamodules.reading.delimited import Rows
from datamodules.reading.tables import interaction_table


@dataclass(frozen=True)
class Step:
    """One row: what the user had done, what came next, and where that stands."""

    history: list[str]
    target: str
    split: str
    path: Path
    line: int


@dataclass
class Events:
    """Columns of events, filled user by user."""

    user: list[str] = field(default_factory=list)
    item: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    file: list[str] = field(default_factory=list)
    line: list[int] = field(default_factory=list)

    def add(self, user: str, item: str, split: str, step: Step) -> None:
        """One event, which `step` told of."""
        self.user.append(user)
        self.item.append(item)
        self.split.append(split)
        self.file.append(step.path.name)
        self.line.append(step.line)

    def table(self, behaviour: str) -> pa.Table:
        """The events as interactions without times."""
        text = {name: pa.array(getattr(self, name), pa.string()) for name in ("user", "item", "split", "file")}
        line = pa.array(self.line, pa.int64())
        return interaction_table(
            text["user"], text["item"], behaviour=behaviour, split=text["split"], file=text["file"], line=line
        )


def unroll(parts: dict[str, Rows], user: str, item: str, history: str, behaviour: str) -> pa.Table:
    """Every user's sequence, users in order of first sight: the first history is training, each target of its part.

    parts: rows of "train", "valid", "test", in that order; user, item, history: their columns. Raises `DataError` with
    file and line where a history does not continue the user's sequence.
    """
    steps: dict[str, dict[str, list[Step]]] = {}
    for split, rows in parts.items():
        columns = (rows.keys(user).to_pylist(), rows.text(history).to_pylist(), rows.keys(item).to_pylist())
        for line, (key, listed, target) in enumerate(zip(*columns, strict=True), start=rows.first):
            step = Step((listed or "").split(), target, split, rows.path, line)
            steps.setdefault(key, {}).setdefault(split, []).append(step)
    events = Events()
    for key, by_split in steps.items():
        _unroll_user(key, by_split, events)
    return events.table(behaviour)


def _unroll_user(user: str, by_split: dict[str, list[Step]], events: Events) -> None:
    ordered = [step for steps in by_split.values() for step in _in_time_order(steps)]
    sequence = list(ordered[0].history)
    for item in sequence:
        events.add(user, item, "train", ordered[0])
    for step in ordered:
        if not _continues(sequence, step.history):
            tail, found = " ".join(sequence[-3:]), " ".join(step.history[-3:])
            raise DataError(
                f"the history of user {user!r} ends in '{found}', but the rows before tell of '{tail}'. "
                "Write the rows of a user in time order, or plain rows without item lists",
                step.path,
                step.line,
            )
        sequence.append(step.target)
        events.add(user, step.target, step.split, step)


def _in_time_order(steps: list[Step]) -> list[Step]:
    """The rows as they stand or in reverse, whichever holds together longer."""
    return max(steps, steps[::-1], key=_links) if len(steps) > 1 else steps


def _links(steps: Sequence[Step]) -> int:
    """How many rows in a row, from the first, continue the one before."""
    sequence = list(steps[0].history)
    for count, step in enumerate(steps):
        if not _continues(sequence, step.history):
            return count
        sequence.append(step.target)
    return len(steps)


def _continues(sequence: list[str], history: list[str]) -> bool:
    return 0 < len(history) <= len(sequence) and sequence[-len(history) :] == history
