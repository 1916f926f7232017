"""Columns of cost: what a row took, averaged over its seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from experiments.tables.grid import Cell
from experiments.tables.rows import Label, Row, TableError
from experiments.units import count, duration, energy, share, size

Value = float | None


@dataclass(frozen=True)
class CostColumn:
    """key: of `cost` in result.json."""

    header: str
    key: str
    human: Callable[[Value], str]


COSTS = {
    "trainable": CostColumn("trained", "trainable_parameters", count),
    "share": CostColumn("of all", "trainable_share", share),
    "total": CostColumn("parameters", "total_parameters", count),
    "memory": CostColumn("peak memory", "peak_memory_bytes", size),
    "reserved": CostColumn("reserved", "peak_reserved_bytes", size),
    "resident": CostColumn("resident", "resident_bytes", size),
    "epoch": CostColumn("epoch", "seconds_per_epoch", duration),
    "epochs": CostColumn("epochs", "epochs", count),
    "time": CostColumn("time", "seconds", duration),
    "flops": CostColumn("FLOP/step", "flops_per_step", count),
    "energy": CostColumn("energy", "energy_joules", energy),
    "queries": CostColumn("queries/s", "queries_per_second", count),
    "checkpoint": CostColumn("checkpoint", "checkpoint_bytes", size),
}
"""By the word of the command line."""

OF_A_BATCH = "flops"
"""Counted in the first step, whose batch the seed draws: averaged over the seeds that all rows have, if any."""
TPME = "tpme"
USUAL = ("trainable", "share", "memory", "epoch", "queries", "checkpoint")
WEIGHTS = {"seconds_per_epoch": 0.45, "trainable_parameters": 0.1, "peak_memory_bytes": 0.45}


def require_costs(names: Sequence[str]) -> None:
    """Raise `TableError` for a word that names no column."""
    known = [*COSTS, TPME]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=2) or known
            raise TableError(f"--costs {name} is no column of cost; nearest: {', '.join(near)}")


def headers(names: Sequence[str]) -> list[str]:
    """What stands above the columns."""
    return ["TPME" if name == TPME else COSTS[name].header for name in names]


def cost_cells(rows: Sequence[Row], names: Sequence[str]) -> dict[Label, list[Cell]]:
    """Each row's cells; "-" where its runs have no such number (a popularity ranking has no epochs)."""
    compared = tpme(rows) if TPME in names else {}
    alike = _of_common_seeds(rows)
    return {
        row.label: [
            _cell(alike[row.label] if name == OF_A_BATCH else row, name, compared.get(row.label)) for name in names
        ]
        for row in rows
    }


def tpme(rows: Sequence[Row]) -> dict[Label, Value]:
    """Training time, trained parameters and memory in one number, from 0 (cheapest of these rows in all three) to 1.

    Each is brought to [0, 1] by the least and the most of the rows, x' = (x - min) / (max - min), and weighted by .45,
    .1 and .45 (Fu et al. 2024, "IISAN", equations 6 to 10, with their weights). So it compares the rows of one table
    and means nothing beside another's. None for a row that lacks one of the three; where all rows have the same of
    one, its share is 0.
    """
    found = {row.label: {key: mean_cost(row, key) for key in WEIGHTS} for row in rows}
    whole = {label: {k: v for k, v in some.items() if v is not None} for label, some in found.items()}
    whole = {label: some for label, some in whole.items() if len(some) == len(WEIGHTS)}
    scaled = {key: _between_0_and_1({label: some[key] for label, some in whole.items()}) for key in WEIGHTS}
    return {
        label: sum(weight * scaled[key][label] for key, weight in WEIGHTS.items()) if label in whole else None
        for label in found
    }


def mean_cost(row: Row, key: str) -> Value:
    """Over the row's finished runs that have the number."""
    known = [value for run in row.done if (value := run.cost.get(key)) is not None]
    return sum(known) / len(known) if known else None


def _of_common_seeds(rows: Sequence[Row]) -> dict[Label, Row]:
    """The rows with their runs of the seeds that all others have too; unchanged where there is no such seed."""
    seeds = [{run.seed for run in row.done} for row in rows if row.done]
    common = set.intersection(*seeds) if seeds else set()
    kept = {row.label: tuple(run for run in row.done if run.seed in common) for row in rows}
    return {row.label: replace(row, done=kept[row.label] or row.done) for row in rows}


def _cell(row: Row, name: str, compared: Value) -> Cell:
    if name == TPME:
        return Cell(share(compared), number=compared)
    number = mean_cost(row, COSTS[name].key)
    return Cell(COSTS[name].human(number), number=number)


def _between_0_and_1(values: Mapping[Label, float]) -> dict[Label, float]:
    low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
    return {label: (value - low) / (high - low) if high > low else 0.0 for label, value in values.items()}
