"""What a run will take, judged by finished ones that differ from it in nothing that costs time or memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from experiments.config.identity import neutral
from experiments.config.leaves import flatten
from experiments.runs.read import Run

CHEAP = (
    *(
        "seed",
        "rate",
        "learning_rate",
        "learning_rates*",
        "language_model_lr",
        "optimizer.lr",
        "optimizer.weight_decay",
    ),
    *("monitor", "parents", "parents.*", "name", "scheduler.*", "trainer.max_epochs", "trainer.max_steps"),
    *("callbacks.*", "metrics.*", "dry_run"),
)
"""Paths that change neither memory nor the time of a step; how many steps there are is counted apart."""


@dataclass(frozen=True)
class Forecast:
    """seconds and bytes, None where no finished run is like it. source: the ids of those that are."""

    seconds: float | None = None
    memory: float | None = None
    source: tuple[str, ...] = ()


def forecast(config: Mapping[str, Any], hardware: str, finished: Sequence[Run]) -> Forecast:
    """By runs of the same machine whose configuration differs in CHEAP alone."""
    wanted = heavy(flatten(config))
    like = [
        run for run in finished if run.provenance.get("hardware") == hardware and heavy(flatten(run.config)) == wanted
    ]
    return _from(like, _epochs(config))


def forecast_by_words(run: Run, finished: Sequence[Run]) -> Forecast:
    """By runs of the same sweep whose words differ in CHEAP alone: all that is known of a job that never began."""
    wanted = heavy(run.settings())
    return _from([other for other in finished if heavy(other.settings()) == wanted], None)


def heavy(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What costs something. What a YAML left out and what it set to null are the same."""
    return {path: value for path, value in settings.items() if not (value is None or value == {} or _is_cheap(path))}


def seconds_of(run: Run, epochs: float | None) -> float | None:
    """How long the run took, or with so many epochs had taken: start and end once, an epoch and its validation each
    time. Never less than its epochs: a run that was resumed may tell the time of its last attempt alone."""
    whole, made = run.cost.get("seconds"), run.cost.get("epochs")
    each = [run.cost.get(key) for key in ("seconds_per_epoch", "seconds_per_validation")]
    if whole is None or epochs is None or not made or each[0] is None:
        return whole
    repeated = sum(part for part in each if part is not None)
    return max(whole - made * repeated, 0.0) + epochs * repeated


def _from(like: Sequence[Run], epochs: float | None) -> Forecast:
    seconds = [found for run in like if (found := seconds_of(run, epochs)) is not None]
    memory = [found for run in like if (found := run.cost.get("peak_memory_bytes")) is not None]
    return Forecast(
        median(seconds) if seconds else None, max(memory) if memory else None, tuple(run.id for run in like)
    )


def _epochs(config: Mapping[str, Any]) -> float | None:
    trainer = config.get("trainer") or {}
    return None if trainer.get("max_steps", -1) > 0 else trainer.get("max_epochs")


def _is_cheap(path: str) -> bool:
    steps = path.split(".")
    return any(neutral(".".join(steps[: length + 1])) for length in range(len(steps))) or any(
        fnmatchcase(path, pattern) for pattern in CHEAP
    )
