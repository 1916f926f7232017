"""What a table's reader has to know: everything that could matter and is equal over all rows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from experiments.config.ranker import trains
from experiments.runs.read import Run
from experiments.tables.columns import Column
from experiments.tables.measures import ENOUGH_SEEDS
from experiments.tables.rows import Row, flatten, look_up, stem_of
from experiments.tables.statistics import LEVEL

SETTINGS = (
    ("data", "datamodule.source"),
    ("filters", "datamodule.filters"),
    ("split", "split"),
    ("labels", "datamodule.few_shot"),
    ("text", "text"),
    ("history masked", "metrics.mask_history"),
    ("objective", "objective"),
    ("loss", "loss"),
    ("candidates", "candidates"),
    ("item prior", "head.prior"),
    ("optimizer", "optimizer"),
    ("scheduler", "scheduler"),
    ("users per step", "datamodule.users_per_step"),
    ("epochs at most", "trainer.max_epochs"),
    ("steps at most", "trainer.max_steps"),
    ("patience", "callbacks.early_stopping.patience"),
)
"""What the caption states of a configuration, in this order, as (word, path)."""


def caption(rows: Sequence[Row], columns: Sequence[Column], reference: str) -> tuple[str, ...]:
    """Sentences: settings that all rows share, those in which they differ, the spread, and the tests."""
    runs = [run for row in rows for run in row.done]
    sentences = [*_settings(runs), *_spread(rows)]
    if any(column.to_best or column.to_reference for column in columns):
        sentences.append(_test(columns, reference))
    return tuple(sentences)


def describe(node: Any) -> str:
    """A part as FILE(setting=value, ...), anything else as it is; folders are left out."""
    if isinstance(node, Mapping) and "_target_" in node:
        settings = {key: value for key, value in node.items() if not key.startswith("_") and not _is_folder(value)}
        inner = ", ".join(f"{key}={describe(value)}" for key, value in settings.items())
        return f"{stem_of(node)}({inner})" if inner else stem_of(node)
    if isinstance(node, Mapping):
        return ", ".join(f"{key}={describe(value)}" for key, value in node.items())
    if isinstance(node, list | tuple):
        return "[" + ", ".join(map(describe, node)) + "]"
    return str(node)


def _settings(runs: Sequence[Run]) -> Iterator[str]:
    """One sentence of what is equal, and one of what is not and so belongs to the comparison. A closed-form scorer has
    no loss and no dropout, so only rows that train are asked where there are some."""
    trained = [run for run in runs if trains(run.config)]
    among = "all rows" if len(trained) in (0, len(runs)) else "all rows that train"
    runs = trained or runs
    stated = [*((word, [_state(run, path) for run in runs]) for word, path in SETTINGS)]
    stated.append(("dropout", [_dropout(run) for run in runs]))
    stated.append(("precision", [str(run.provenance.get("precision") or "") for run in runs]))
    equal = [f"{word} {values[0]}" for word, values in stated if values and len(set(values)) == 1 and values[0]]
    varied = [word for word, values in stated if len(set(values)) > 1]
    if equal:
        yield f"Equal in {among}: " + "; ".join(equal) + "."
    if varied:
        yield f"Not equal in {among}: " + ", ".join(varied) + "."


def _state(run: Run, path: str) -> str:
    found = look_up(run.config, path)
    return "" if found is None else describe(found)


def _dropout(run: Run) -> str:
    """Every dropout inside what trains; the caption names the place since there are several."""
    leaves = flatten(run.config).items()
    return ", ".join(f"{path}={rate}" for path, rate in leaves if path.rpartition(".")[2] == "dropout")


def _spread(rows: Sequence[Row]) -> Iterator[str]:
    groups = {tuple(run.seed for run in row.done) for row in rows if row.done}
    if len(groups) == 1:
        yield f"Seeds: {', '.join(map(str, groups.pop()))}."
    sizes = {len(row.done) for row in rows if row.done}
    if any(size >= ENOUGH_SEEDS for size in sizes):
        yield f"Mean ± standard deviation over seeds, from {ENOUGH_SEEDS} seeds up."
    if any(size < ENOUGH_SEEDS for size in sizes):
        yield "In brackets: 95% percentile bootstrap interval over queries."


def _test(columns: Sequence[Column], reference: str) -> str:
    comparisons = max(len(column.to_best) for column in columns)
    queries = " or ".join(map(str, dict.fromkeys(column.queries for column in columns if column.queries)))
    against = "the best row of each column" + (f", and against {reference}" if reference else "")
    return (
        f"Best bold, second underlined. Wilcoxon's signed-rank test over {queries} queries (a row's seeds averaged) "
        f"against {against}, Holm-corrected for the {comparisons} comparison{'s' * (comparisons != 1)} of a column, "
        f"level {LEVEL}."
    )


def _is_folder(value: Any) -> bool:
    return isinstance(value, str) and PurePath(value).is_absolute()
