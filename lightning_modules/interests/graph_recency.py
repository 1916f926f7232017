"""The interest graph with weights by age alone: what the rest of the learned weights is measured against.

w_t(i) = softmax over i <= t of  - r log(1 + events since i) - d log(1 + days since i)

r and d are learned; edges and propagation as in `interests.graph`. Need falls with a power of age (Anderson & Schooler
1991).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Events, Queries
from lightning_modules.parts.cut import Cut
from lightning_modules.parts.interest_graph import edges, make_gates, propagate
from lightning_modules.parts.known import known, log_days, log_steps
from lightning_modules.parts.owners import event_owners
from lightning_modules.types import Interests


class GraphRecencyInterest(nn.Module):
    """has_times, steps, tau, dropout: as of `interests.graph`, which this one equals where that one has learned nothing
    beside r and d."""

    causal = True

    def __init__(self, has_times: bool = True, steps: int = 1, tau: float | str = 0.0, dropout: float = 0.1) -> None:
        super().__init__()
        self.cut, self.dropout = Cut(tau), nn.Dropout(dropout)
        self.gates = make_gates(steps)
        self.step_decay = nn.Parameter(torch.tensor(0.5))
        self.day_decay = nn.Parameter(torch.tensor(0.0)) if has_times else None

    def forward(self, vectors: Float[Tensor, "B H D"], events: Events, queries: Queries) -> Interests:
        vectors = self.dropout(vectors)
        nodes = propagate(self.gates, vectors, edges(self.cut, vectors, events))
        score = -self.step_decay * log_steps(events, queries)
        days = log_days(events, queries)
        if days is not None and self.day_decay is not None:
            score = score - self.day_decay * days
        weights = score.masked_fill(~known(events, queries), -torch.inf).softmax(-1)
        return Interests(nodes, weights, event_owners(events))
