"""Whether a search can find anything, before there is a study of it."""

from collections.abc import Sequence

from experiments.config.check import ConfigError
from experiments.config.monitor import require_measured
from experiments.config.signature import nearest
from experiments.direction import COST
from experiments.runs.plan import Plan, plan_words
from experiments.tables.costs import COSTS
from experiments.tuning.space import Space

MEASURED = (*(f"{COST}{column.key}" for column in COSTS.values()), "cost/seconds_per_validation")


def require_possible(space: Space, objectives: Sequence[str], pruning: bool) -> None:
    """Raise `ConfigError` where none of a few trials that span the space is a run, with the fault of the first, or
    where no run measures an objective of that name. Whether these runs do (energy, a slice without queries) shows when
    one has ended. pruning: asks what is measured after each epoch, which slices are not."""
    planned = _one_of(space)
    for name in objectives:
        split, *middle, metric = name.split("/")
        if name.startswith(COST):
            if name not in MEASURED:
                raise ConfigError([f"--objective {name}: is no cost{nearest(name, list(MEASURED))}"])
        elif middle and pruning:
            raise ConfigError([f"--prune: {name} is not measured after each epoch; valid/{metric} is"])
        else:
            require_measured(f"{split}/{metric}", "--objective", planned.config)


def _one_of(space: Space) -> Plan:
    faults = []
    for words in space.examples():
        try:
            return plan_words(words)
        except ConfigError as fault:
            faults.append(fault)
    raise faults[0]
