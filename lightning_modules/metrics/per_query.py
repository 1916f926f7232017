"""Collect one value per query and metric, so that a mean does not depend on how the queries were dealt out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric as Collected
from torchmetrics.utilities import dim_zero_cat

from datamodules.types import Ranking
from lightning_modules.types import Metric


class PerQuery(Collected):
    """Keeps (query, values) and averages distinct queries, in the order of their numbers.

    A running sum would count the users whom a distributed sampler repeats, and weigh the batches; here batch size,
    number of processes, padding and order cannot move a digit. The states are gathered over processes on `compute` and
    `table`, which all processes must therefore call.
    """

    query: list[Tensor]
    rank: list[Tensor]
    values: list[Tensor]
    full_state_update = False

    def __init__(self, metrics: Sequence[Metric]) -> None:
        super().__init__()
        self.metrics = tuple(metrics)
        for state in ("query", "rank", "values"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, ranking: Ranking) -> None:
        """Add the queries of one ranking."""
        self.query.append(ranking.query)
        self.rank.append(ranking.ranks[:, :1].sum(dim=1))
        self.values.append(torch.stack([metric(ranking).float() for metric in self.metrics], dim=1))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather over processes. One without queries first gets empty rows of the right type and width: torchmetrics
        would send a flat float tensor for it, which the others cannot be joined with."""
        if isinstance(self.query, list):
            self.query.append(torch.empty(0, dtype=torch.long, device=self.device))
            self.rank.append(torch.empty(0, dtype=torch.long, device=self.device))
            self.values.append(torch.empty(0, len(self.metrics), device=self.device))
        super().sync(*args, **kwargs)

    def compute(self) -> dict[str, float]:
        """Mean of each metric over distinct queries. Raises `ValueError` where there are none."""
        table = self._distinct()
        return {metric.name: float(table[metric.name].mean()) for metric in self.metrics}

    def table(self) -> dict[str, np.ndarray]:
        """Columns over distinct queries, sorted by query: `query`, `rank` (of the first positive, 0 where there is
        none) and one float column per metric, under its name. Raises `ValueError` where there are no queries."""
        with self.sync_context():
            return self._distinct()

    def _distinct(self) -> dict[str, np.ndarray]:
        if not len(self.query) or not len(dim_zero_cat(self.query)):
            raise ValueError("no query was ranked: the split is empty, or its loader gave only fill")
        query, rank, values = (dim_zero_cat(state).cpu().numpy() for state in (self.query, self.rank, self.values))
        query, first = np.unique(query, return_index=True)
        columns = {"query": query, "rank": rank[first]}
        return columns | {m.name: values[first, i].astype(np.float64) for i, m in enumerate(self.metrics)}
