"""Which runs may stand in one table: those that were asked the same of the same data."""

import json
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from experiments.config.leaves import look_up
from experiments.runs.read import Run
from experiments.tables.rows import Label, Row, TableError

PROTOCOL = ("split", "metrics._target_", "metrics.mask_history")
"""The settings that make two accuracies comparable; which metrics were computed beside does not matter."""


def without_unmeasured(runs: Sequence[Run], metrics: Sequence[str]) -> tuple[list[Run], list[Run]]:
    """The runs that a table of `metrics` is about, and finished ones that have none of these: what adapts a language
    model ranks nothing, and has neither split nor protocol to be compared."""

    def lacks(run: Run) -> bool:
        return run.status == "done" and not set(metrics) & run.metrics.keys()

    return [run for run in runs if not lacks(run)], [run for run in runs if lacks(run)]


def require_comparable(runs: Sequence[Run]) -> None:
    """Raise `TableError` where finished runs differ in prepared data or evaluation protocol."""
    done = [run for run in runs if run.status == "done"]
    for what, of in (("prepared data", data_of), ("evaluation protocol", protocol_of)):
        if len(_kinds(done, of)) > 1:
            raise TableError(
                f"these runs have different {what}: {kinds_of(done, of)}. Give runs of one kind only, "
                "or --mixed to put them side by side without tests"
            )


def are_comparable(runs: Sequence[Run]) -> bool:
    """Whether `require_comparable` passes."""
    done = [run for run in runs if run.status == "done"]
    return all(len(_kinds(done, of)) <= 1 for of in (data_of, protocol_of))


def some(runs: Sequence[Run]) -> str:
    """Their ids, of many the first three."""
    named = ", ".join(run.id for run in runs[:3])
    return named if len(runs) <= 3 else f"{named} and {len(runs) - 3} more"


def kinds_of(runs: Sequence[Run], of: Callable[[Run], str]) -> str:
    """In words, what `of` is of the runs and of which."""
    return "; ".join(f"{kind} ({some(members)})" for kind, members in _kinds(runs, of).items())


def find_row(text: str, rows: Sequence[Row], keys: Sequence[str]) -> Label:
    """The one row that `text` names: "lora", "lora,graph" or "strategy=lora,head=graph" (then in any order); as few
    values as it takes. Raises `TableError` where it names none or several, or a row without a finished run."""
    wanted = [part.strip() for part in text.split(",")]
    matches = [row for row in rows if _matches(row.label, wanted, keys)]
    names = [",".join(row.label) for row in rows]
    if len(matches) != 1:
        near = get_close_matches(text, names, n=3)
        told = f"nearest: {'; '.join(near)}" if near else f"rows are: {'; '.join(names)}"
        raise TableError(f"--reference '{text}' names {len(matches)} rows; {told}")
    if not matches[0].done:
        raise TableError(f"--reference '{text}' names a row without a finished run; choose one of {'; '.join(names)}")
    return matches[0].label


def _matches(label: Label, wanted: Sequence[str], keys: Sequence[str]) -> bool:
    if any("=" in part for part in wanted):
        return set(wanted) <= {f"{key}={value}" for key, value in zip(keys, label, strict=True)}
    return tuple(wanted) == label[: len(wanted)]


def data_of(run: Run) -> str:
    """Digest of the prepared data that the run was made of; "unknown" where it does not say."""
    return str(run.provenance.get("data_digest") or "unknown")


def protocol_of(run: Run) -> str:
    """The run's settings at the paths of PROTOCOL, as JSON."""
    return json.dumps({path: look_up(run.config, path) for path in PROTOCOL}, sort_keys=True)


def _kinds(runs: Sequence[Run], of: Callable[[Run], str]) -> dict[str, list[Run]]:
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(of(run), []).append(run)
    return kinds
