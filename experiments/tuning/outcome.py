"""What studies spent and found, as a person reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.tuning.study import SPENT, Study, drawn


@dataclass(frozen=True)
class Row:
    """One study of several over the same space: the words that it is named by."""

    words: tuple[str, ...]
    study: Study


def show(rows: Sequence[Row], console: Console) -> None:
    """What each row spent and found, and whether all had the same chances."""
    objectives = rows[0].study.asked.objectives
    table = Table("row", "trials", "complete", "pruned", "failed", *objectives, "best setting", "run")
    for row in rows:
        spent = row.study.spent()
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        counts = [str(sum(trial.state == state for trial in spent)) for state in states]
        named = [" ".join(row.words) or "-", str(len(spent)), *counts]
        best = [[*_values(one), drawn(one), one.user_attrs[SPENT]] for one in row.study.best()]
        for place, cells in enumerate(best or [["-"] * (len(objectives) + 2)]):
            table.add_row(*map(Text, [*([""] * len(named) if place else named), *cells]))
    console.print(table)
    budgets = sorted({len(row.study.spent()) for row in rows})
    spaces = {tuple(row.study.asked.space.items()) for row in rows}
    equal = f"equal budget: {budgets[0]} trials each" if len(budgets) == 1 else f"unequal budgets: {budgets} trials"
    console.print(Text(equal + (", of the same space" if len(spaces) == 1 else ", of unequal spaces")))


def _values(trial: FrozenTrial) -> list[str]:
    return [f"{value:.4f}" for value in trial.values or ()]
