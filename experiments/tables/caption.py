"""What a table's reader has to know: everything that could matter and is equal over all rows."""

import math
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from experiments.config.leaves import flatten, look_up
from experiments.config.ranker import trains
from experiments.runs.read import Run
from experiments.tables.columns import Column
from experiments.tables.measures import ENOUGH_SEEDS
from experiments.tables.rows import PRETRAINED, SEED, Row, differing, following, stem_of
from experiments.tables.statistics import LEVEL, POWER, Comparison
from experiments.units import accuracy

SETTINGS = (
    ("data", "datamodule.source"),
    ("filters", "datamodule.filters"),
    ("split", "split"),
    ("labels", "datamodule.few_shot"),
    ("text", "text"),
    ("strategy", "strategy"),
    ("interest", "interest"),
    ("head", "head"),
    ("history masked", "metrics.mask_history"),
    ("objective", "objective"),
    ("loss", "loss"),
    ("candidates", "candidates"),
    ("item prior", "head.prior"),
    ("scorer", "scorer"),
    ("optimizer", "optimizer"),
    ("scheduler", "scheduler"),
    ("users per step", "datamodule.users_per_step"),
    ("epochs at most", "trainer.max_epochs"),
    ("steps at most", "trainer.max_steps"),
    ("patience", "callbacks.early_stopping.patience"),
    ("epoch chosen by", "monitor"),
)
"""What the caption states of a configuration, in this order, as (word, path)."""


def caption(
    rows: Sequence[Row], columns: Sequence[Column], reference: str, keys: Sequence[str] = ()
) -> tuple[str, ...]:
    """Sentences: settings that all rows share, those in which they differ (but for `keys`, by which rows are named),
    what they begin from, the spread, and the tests."""
    settings = (*_settings(rows, keys), *_beginnings(rows), *_spread(rows))
    return (*settings, *_emphasis(columns), *_test(columns, reference))


def describe(node: Any, path: str = "", of_seed: Container[str] = ()) -> str:
    """A part as FILE(setting=value, ...), anything else as it is; folders and what is not set are left out. `path` says
    where the node stands; at those of `of_seed` stands that the seed decides."""
    if path in of_seed:
        return SEED
    if isinstance(node, Mapping):
        settings = {key: value for key, value in node.items() if not key.startswith("_") and not _is_left_out(value)}
        inner = ", ".join(f"{key}={describe(value, f'{path}.{key}', of_seed)}" for key, value in settings.items())
        if "_target_" not in node:
            return inner
        return f"{stem_of(node)}({inner})" if inner else stem_of(node)
    if isinstance(node, list | tuple):
        return "[" + ", ".join(describe(value, f"{path}.{place}", of_seed) for place, value in enumerate(node)) + "]"
    return str(node)


def _settings(rows: Sequence[Row], keys: Sequence[str]) -> Iterator[str]:
    """One sentence of what is equal, and one of what is not and so belongs to the comparison. A closed-form scorer has
    no loss and no dropout, so only rows that train are asked where there are some."""
    runs = [(run, following(row.done)) for row in rows for run in row.done]
    trained = [(run, of_seed) for run, of_seed in runs if trains(run.config)]
    among = "all rows" if len(trained) in (0, len(runs)) else "all rows that train"
    runs = trained or runs
    stated = [(word, [_state(run, path, of_seed) for run, of_seed in runs]) for word, path in SETTINGS]
    stated += [(word, [say(run) for run, _ in runs]) for word, say in BESIDE]
    named = {*keys, *(word for word, path in SETTINGS if path in keys)}
    equal = [f"{word} {values[0]}" for word, values in stated if values and len(set(values)) == 1 and values[0]]
    varied = [word for word, values in stated if len(set(values)) > 1 and word not in named]
    varied += _unstated([run for run, _ in runs], keys)
    if equal:
        yield f"Equal in {among}: " + "; ".join(equal) + "."
    if varied:
        yield f"Not equal in {among}: " + ", ".join(varied) + "."


def _unstated(runs: Sequence[Run], keys: Sequence[str]) -> list[str]:
    """What else differs, by its path: steps accumulated, clipping, the number of processes."""
    stated = (*keys, *(path for _, path in SETTINGS), *STATED_OTHERWISE)
    paths = [path for path in differing(runs) if not any(f"{path}.".startswith(f"{part}.") for part in stated)]
    parts = {path for path in paths if any(other.startswith(f"{path}.") for other in paths)}
    whole = [path for path in paths if not any(path.startswith(f"{part}.") for part in parts)]
    return [path for path in whole if path.rpartition(".")[2] != "dropout"]


def _state(run: Run, path: str, of_seed: Container[str]) -> str:
    found = look_up(run.config, path)
    return "" if found is None else describe(found, path, of_seed)


def _backbone(run: Run) -> str:
    """With the digest of the language model's files: a name or folder does not say what they hold."""
    files = ", ".join((run.provenance.get("pretrained_digest") or {}).values())
    return _state(run, "backbone", ()) + (f" from files {files}" if files else "")


def _rate_within(run: Run) -> str:
    """Only where there is a language model; the others' rate is the optimizer's."""
    return _state(run, "language_model_lr", ()) if run.provenance.get("pretrained_digest") else ""


def _dropout(run: Run) -> str:
    """Every dropout inside what trains; the caption names the place since there are several."""
    leaves = flatten(run.config).items()
    found = {path: rate for path, rate in leaves if path.rpartition(".")[2] == "dropout" and rate is not None}
    return ", ".join(f"{path}={rate}" for path, rate in found.items())


def _precision(run: Run) -> str:
    return str(run.provenance.get("precision") or "")


BESIDE: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("backbone", _backbone),
    ("learning rate in the language model", _rate_within),
    ("dropout", _dropout),
    ("precision", _precision),
)
"""What the caption states beside SETTINGS, as (word, what it is of a run)."""
STATED_OTHERWISE = ("backbone", PRETRAINED, "language_model_lr", "precision", "parents")


def _beginnings(rows: Sequence[Row]) -> Iterator[str]:
    """What others paid for: the cost of a run does not hold that of its parents."""
    parents = [tuple(run.config.get("parents") or ()) for row in rows for run in row.done]
    names = list(dict.fromkeys(name for some in parents for name in some))
    if names:
        who = "All rows begin" if len(set(parents)) == 1 else "Some rows begin"
        yield f"{who} from run{'s' * (len(names) > 1)} {', '.join(names)}, whose cost is not counted."


def _spread(rows: Sequence[Row]) -> Iterator[str]:
    groups = Counter(tuple(run.seed for run in row.done) for row in rows if row.done)
    named = {", ".join(map(str, seeds)): count for seeds, count in groups.items()}
    each = [f"{seeds} ({count} row{'s' * (count != 1)})" for seeds, count in named.items()]
    if groups:
        yield f"Seeds: {'; '.join(each if len(groups) > 1 else named)}."
    sizes = {len(row.done) for row in rows if row.done}
    if any(size >= ENOUGH_SEEDS for size in sizes):
        yield f"Mean ± standard deviation over seeds, from {ENOUGH_SEEDS} seeds up."
    if any(size < ENOUGH_SEEDS for size in sizes):
        yield "In brackets: 95% percentile bootstrap interval over queries."


def _emphasis(columns: Sequence[Column]) -> Iterator[str]:
    if any(len(column.measures) > 1 and column.ranking for column in columns):
        yield "Best bold, second underlined."


def _test(columns: Sequence[Column], reference: str) -> Iterator[str]:
    """Each set of rows against one other row is a family of its own for the correction."""
    families = {
        "the best row of each column": max((len(column.to_best) for column in columns), default=0),
        reference: max((len(column.to_reference) for column in columns), default=0),
    }
    made = {against: number for against, number in families.items() if number}
    if not made:
        return
    corrected = " and ".join(f"the {_comparisons_of(number)} against {against}" for against, number in made.items())
    queries = " or ".join(map(str, dict.fromkeys(column.queries for column in columns if column.queries)))
    yield (
        f"Wilcoxon's signed-rank test over {queries} queries (of each the mean over the seeds that both rows have: "
        f"{_seeds(columns)}), Holm-corrected in each column for {corrected}, level {LEVEL}. {_power(columns)}"
    ).rstrip()
    untested = [column.metric for column in columns if len(column.measures) > 1 and not _comparisons(column)]
    if untested:
        yield f"Not tested: {', '.join(untested)}."


def _comparisons_of(number: int) -> str:
    return f"{number} comparison{'s' * (number != 1)}"


def _power(columns: Sequence[Column]) -> str:
    """Which differences so few users cannot show, of each metric over its pairs of rows that differ at all."""
    found = {column.metric: [one.detectable for one in _comparisons(column)] for column in columns}
    spread = {metric: [one for one in some if 0 < one < math.inf] for metric, some in found.items()}
    least = [f"{_range(some)} in {metric}" for metric, some in spread.items() if some]
    if not least:
        return ""
    return (
        f"A paired t-test at that level, before a correction, finds with these queries {POWER:.0%} of true differences "
        f"of {' and '.join(least)} (lowest and highest pair); smaller ones are neither shown nor excluded."
    )


def _range(values: Sequence[float]) -> str:
    low, high = accuracy(min(values)), accuracy(max(values))
    return low if low == high else f"{low} to {high}"


def _comparisons(column: Column) -> list[Comparison]:
    return [*column.to_best.values(), *column.to_reference.values()]


def _seeds(columns: Sequence[Column]) -> str:
    """How many seeds comparisons were made over."""
    found = [one.seeds for column in columns for one in _comparisons(column)]
    return str(min(found)) if min(found) == max(found) else f"{min(found)} to {max(found)}"


def _is_left_out(value: Any) -> bool:
    return value is None or (isinstance(value, str) and PurePath(value).is_absolute())
