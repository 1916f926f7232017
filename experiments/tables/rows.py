"""Which runs make one row, and what the row is called.

A row's runs differ in their seed alone, and in what follows from it. Its name is made of the settings in which the rows
differ: the words of the command line where they tell the rows apart, else as many settings of the configuration as it
takes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, cast

from experiments.config.identity import TRAINING_ONLY, essence, neutral
from experiments.config.leaves import flatten, look_up
from experiments.config.ranker import trains
from experiments.config.signature import TargetError
from experiments.runs.read import Run
from experiments.units import NOTHING

Label = tuple[str, ...]

PRETRAINED = "pretrained_digest"
CIRCUMSTANCES = ("precision", "world_size", "data_digest", PRETRAINED)
"""What determines a result beside the configuration: the entries of `provenance` by which rows may differ too."""

SEED = "${seed}"
"""Stands in the word of a setting that follows the run's seed, such as datamodule.few_shot.draw=${seed}."""

OF_TRAINING = (*TRAINING_ONLY, "strategy", "rate", "learning_rate", "learning_rates")
"""Every configuration has them, and a run that trains nothing reads none."""


class TableError(ValueError):
    """Runs or options that do not make a table; the message names them and the way out."""


@dataclass(frozen=True)
class Row:
    """done: finished runs in the order of their seeds. lost: what failed, was interrupted or never started."""

    label: Label
    done: tuple[Run, ...]
    lost: tuple[Run, ...]


def make_rows(runs: Sequence[Run], keys: Sequence[str]) -> list[Row]:
    """One row for each combination of values of `keys`, in the order of first sight.

    Raises `TableError` where runs of a row differ in more than their seed, or share it.
    """
    groups: dict[Label, list[Run]] = {}
    for run in runs:
        groups.setdefault(label_of(run, keys), []).append(run)
    rows = []
    for label, members in groups.items():
        done = sorted((run for run in members if run.status == "done"), key=lambda run: run.seed or 0)
        _require_repetitions(label, done)
        rows.append(Row(label, tuple(done), tuple(run for run in members if run.status != "done")))
    return rows


def naming_keys(runs: Sequence[Run], varied: Sequence[str] = ()) -> tuple[str, ...]:
    """The settings that name rows where nobody says which: those in which the runs differ, seed aside. With `varied`,
    of which each row keeps the best value, only words of the command line name rows: what follows from a varied setting
    would else tell its trials apart."""
    keys = tuple(key for key in dict.fromkeys(key for run in runs for key in run.settings()) if _matters(key))
    keys = tuple(key for key in keys if key not in varied and len({value_of(run, key) for run in runs}) > 1)
    keys = tuple(key for key in keys if not _same_in_other_words(runs, key))
    if varied:
        return keys
    configured = [run for run in runs if run.status == "done"]
    for key in differing(configured):
        if all(len(group) == 1 for group in _fingerprints(configured, keys)):
            break
        if len({label_of(run, (*keys, key)) for run in runs}) > len({label_of(run, keys) for run in runs}):
            keys = (*keys, key)
    return keys


def require_known(keys: Sequence[str], runs: Sequence[Run]) -> None:
    """Raise `TableError` for a key that no run was given and no configuration has."""
    for key in keys:
        if all(value_of(run, key) == NOTHING for run in runs):
            known = sorted({path for run in runs for path in (*run.settings(), *run.config, *flatten(run.config))})
            near = get_close_matches(key, known, n=3) or known[:8]
            raise TableError(f"no run has a setting '{key}' to name rows by; nearest: {', '.join(near) or 'none'}")


def label_of(run: Run, keys: Sequence[str]) -> Label:
    """The run's values of `keys`: the name of its row. Where none of them says anything of a run that trains nothing,
    such as `strategy` of a popularity ranking, what ranks stands in the place of the first."""
    values = tuple(value_of(run, key) for key in keys)
    if set(values) != {NOTHING} or trains(run.config):
        return values
    named = (value_of(run, seam) for seam in ("scorer", "experiment"))
    return next((name for name in named if name != NOTHING), NOTHING), *values[1:]


def value_of(run: Run, key: str) -> str:
    """A setting in the word of the command line, else of the default that was chosen, else as the configuration has it
    (of a part, the stem of its file), else as the circumstances were. Of a run that trains nothing, none of what only
    training reads."""
    if key.partition(".")[0] in OF_TRAINING and run.config and not trains(run.config):
        return NOTHING
    words = dict(run.provenance.get("choices") or {}) | run.settings()
    if words.get(key):
        return str(words[key])
    found = look_up(run.config, key)
    found = run.provenance.get(key) if found is None and key in CIRCUMSTANCES else found
    if key == PRETRAINED and isinstance(found, Mapping):
        return ", ".join(f"{_name_at(run, path)} ({files[:6]})" for path, files in found.items()) or NOTHING
    if isinstance(found, Mapping):
        return stem_of(found) if "_target_" in found else json.dumps(found, sort_keys=True)
    return NOTHING if found is None else str(found)


def _name_at(run: Run, path: str) -> str:
    """The last step of a language model's path: of a name on the hub or of a folder."""
    return PurePath(str(look_up(run.config, path))).name


def stem_of(part: Mapping[str, Any]) -> str:
    """lightning_modules.heads.graph.GraphHead -> graph."""
    return str(part["_target_"]).split(".")[-2]


def following(runs: Sequence[Run]) -> frozenset[str]:
    """Paths at which the value of every run comes from its seed: a word of the command line says so, or no word says
    anything and runs of several seeds all have their seed there, as where a YAML says it."""
    leaves = [flatten(run.config) for run in runs]
    several = len({run.seed for run in runs}) > 1
    paths = {path for found in leaves for path in found if path != "seed"}
    return frozenset(
        path
        for path in paths
        if all(_follows(run, path, found.get(path), several) for run, found in zip(runs, leaves, strict=True))
    )


def _follows(run: Run, path: str, value: Any, by_value: bool) -> bool:
    word = run.settings().get(path)
    if word is not None:
        return SEED in word
    return by_value and type(value) is int and value == run.seed


def differing(runs: Sequence[Run]) -> list[str]:
    """Paths in which the runs' configurations differ: whole parts first, since they name best, then settings."""
    flat = effective(runs)
    paths = list(dict.fromkeys(path for leaves in flat for path in leaves))
    leaves = [path for path in paths if len({repr(leaves.get(path)) for leaves in flat}) > 1]
    parts = [path.removesuffix("._target_") for path in leaves if path.endswith("._target_")]
    return parts + leaves


def _fingerprints(runs: Sequence[Run], keys: Sequence[str]) -> list[set[str]]:
    """Of each row, the distinct configurations of its runs, seed aside."""
    groups: dict[Label, list[Run]] = {}
    for run in runs:
        groups.setdefault(label_of(run, keys), []).append(run)
    return [
        {json.dumps(leaves, sort_keys=True, default=str) for leaves in effective(members)}
        for members in groups.values()
    ]


def effective(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Everything by which each run's result is determined, aside the seed and what follows it in all of them: the
    part of the configuration that gives a run its id, so that a default written out makes no other row."""
    aside, found = following(runs), []
    for run in runs:
        whole = flatten(_essence(run))
        leaves = {path: leaf for path, leaf in whole.items() if _matters(path) and path not in aside}
        circumstances = {key: run.provenance[key] for key in CIRCUMSTANCES if key in run.provenance}
        found.append(leaves | circumstances | {"parents": run.config.get("parents")})
    return found


def _same_in_other_words(runs: Sequence[Run], key: str) -> bool:
    """Whether the finished runs have one value at a setting that was said in several ways, as 0, 0.0 and not at all."""
    configured = [run for run in runs if run.status == "done" and run.config]
    values = [look_up(run.config, key) for run in configured]
    if all(value is None for value in values) or any(isinstance(value, Mapping) for value in values):
        return False
    return len({repr(look_up(_essence(run), key)) for run in configured}) == 1


def _essence(run: Run) -> Mapping[str, Any]:
    """Of a configuration that another version of the code wrote, all of it, where its parts are no longer there."""
    try:
        return cast(Mapping[str, Any], essence(dict(run.config)))
    except TargetError:
        return run.config


def _matters(path: str) -> bool:
    steps = path.split(".")
    return path != "seed" and not any(neutral(".".join(steps[: length + 1])) for length in range(len(steps)))


def _require_repetitions(label: Label, done: Sequence[Run]) -> None:
    name = ", ".join(label) or "the only row"
    paths = differing(done)
    if paths:
        key, values = paths[0], sorted({value_of(run, paths[0]) for run in done})
        found = f"{key} is {' or '.join(values)}"
        raise TableError(f"runs of row '{name}' differ in more than their seed: {found}; add {key} to --by")
    seeds = [run.seed for run in done]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        same = ", ".join(run.id for run in done if run.seed == twice)
        raise TableError(f"row '{name}' has several runs of seed {twice} ({same}); give only one of them")
