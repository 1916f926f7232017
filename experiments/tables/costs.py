"""Columns of cost: what a row took, averaged over its seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from experiments.tables.rows import Row
from experiments.tables.units import count, duration, share, size


@dataclass(frozen=True)
class CostColumn:
    """key: of `cost` in result.json."""

    header: str
    key: str
    human: Callable[[float | None], str]


COSTS = (
    CostColumn("trained", "trainable_parameters", count),
    CostColumn("of all", "trainable_share", share),
    CostColumn("peak memory", "peak_memory_bytes", size),
    CostColumn("epoch", "seconds_per_epoch", duration),
    CostColumn("queries/s", "queries_per_second", count),
    CostColumn("checkpoint", "checkpoint_bytes", size),
)


def cost_texts(row: Row) -> list[str]:
    """The row's cells of COSTS; "-" where its runs have no such number (a popularity ranking has no epochs)."""
    return [column.human(_mean([run.cost.get(column.key) for run in row.done])) for column in COSTS]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
