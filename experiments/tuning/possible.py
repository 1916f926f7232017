"""Whether a search can find anything, before there is a study of it."""

from collections.abc import Sequence

from experiments.config.check import ConfigError
from experiments.config.monitor import require_measured
from experiments.config.signature import nearest
from experiments.direction import COST
from experiments.runs.plan import Plan, plan_words
from experiments.tables.costs import COSTS
from experiments.tuning.space import Space


def require_possible(space: Space, objectives: Sequence[str]) -> None:
    """Raise `ConfigError` where none of a few trials that span the space is a run, with the fault of the first, or
    where runs do not measure the objectives."""
    planned = _one_of(space)
    costs = [f"{COST}{column.key}" for column in COSTS.values()]
    for name in objectives:
        if not name.startswith(COST):
            require_measured(name, "--objective", planned.config)
        elif name not in costs:
            raise ConfigError([f"--objective {name}: is no cost{nearest(name, costs)}"])


def _one_of(space: Space) -> Plan:
    faults = []
    for words in space.examples():
        try:
            return plan_words(words)
        except ConfigError as fault:
            faults.append(fault)
    raise faults[0]
