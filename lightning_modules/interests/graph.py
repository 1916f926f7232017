"""The interest graph of a user, and how much each interest weighs now.

    edges      (i, j), j < i:   a_ij = max(cos(v_i, v_j) - tau, 0)
    nodes      v_i <- v_i + g * sum_j a_ij v_j / sum_j a_ij      `steps` times, each with its own learned g, at first 0
    weights    w_t(i) = softmax over i <= t of
               <Q v_t, K v_i> / sqrt(D)  - r log(1 + events since i) - d log(1 + days since i)
               + b[behaviour of i] + s * strength of i + e * log(1 + degree of i at t)

Beside Q and K, everything that is learned about a user's weights is a number a person can read: r, d, b, s and e. The
idea of the graph is this project's own; its parts are the causal attention of SASRec (Kang & McAuley 2018), the mean
aggregation of GraphSAGE (Hamilton et al. 2017) and the log age of memory decay (Anderson & Schooler 1991: need falls
with a power of age).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Events, Queries
from lightning_modules.parts.cut import Cut
from lightning_modules.parts.interest_graph import edges, make_gates, propagate
from lightning_modules.parts.known import known, log_days, log_steps
from lightning_modules.parts.owners import event_owners
from lightning_modules.types import Interests


class GraphInterest(nn.Module):
    """Events as nodes, causal edges where their cosine exceeds tau, learned weights at every moment.

    steps: rounds of propagation; 0 leaves the nodes what the backbone said. tau: see `parts.cut`. dropout: on the
    vectors. has_times: whether the corpus has times; without them age is counted in events alone. After propagation a
    node means its event in the context of the related events before it.
    """

    causal = True

    def __init__(
        self,
        dim: int,
        n_behaviours: int,
        has_times: bool = True,
        steps: int = 1,
        tau: float | str = 0.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.cut, self.dropout = Cut(tau), nn.Dropout(dropout)
        self.gates = make_gates(steps)
        self.query, self.key = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.step_decay = nn.Parameter(torch.tensor(0.5))
        self.day_decay = nn.Parameter(torch.tensor(0.0)) if has_times else None
        self.behaviour = nn.Parameter(torch.zeros(n_behaviours))
        self.strength, self.degree = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, vectors: Float[Tensor, "B H D"], events: Events, queries: Queries) -> Interests:
        vectors = self.dropout(vectors)
        joined = edges(self.cut, vectors, events)
        nodes = propagate(self.gates, vectors, joined)
        logits = self.affinity(nodes, queries) + self.recency(events, queries)
        logits = logits + (self.behaviour[events.behaviour] + self.strength * events.strength)[:, None, :]
        logits = logits + self.degree * self.log_degree(joined, queries)
        weights = logits.masked_fill(~known(events, queries), -torch.inf).softmax(-1)
        return Interests(nodes, weights, event_owners(events))

    def affinity(self, nodes: Float[Tensor, "B H D"], queries: Queries) -> Float[Tensor, "B T H"]:
        """How much the node at the query's position asks for each node."""
        index = queries.position[..., None].expand(-1, -1, nodes.shape[-1])
        asking = self.query(nodes).gather(1, index)
        return asking @ self.key(nodes).transpose(1, 2) / math.sqrt(nodes.shape[-1])

    def recency(self, events: Events, queries: Queries) -> Float[Tensor, "B T H"]:
        """Minus learned multiples of log age, in events and, where the corpus has times, in days."""
        score = -self.step_decay * log_steps(events, queries)
        days = log_days(events, queries)
        return score if days is None or self.day_decay is None else score - self.day_decay * days

    def log_degree(self, joined: Float[Tensor, "B H H"], queries: Queries) -> Float[Tensor, "B T H"]:
        """log(1 + edge weight of i within the graph as it stood at the query's position)."""
        own = joined.sum(-1)[:, None, :]  # edges to earlier events: known as soon as i is
        later = joined.cumsum(1)  # row t: edges into i from events up to t
        index = queries.position[..., None].expand(-1, -1, joined.shape[-1])
        return torch.log1p(own + later.gather(1, index))
