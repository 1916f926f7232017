"""The interest graph with weights that nobody learned and that do not age: what learned weights are measured against.

w_t(i) = 1 / number of events known at t; edges and propagation as in `interests.graph`.
"""

from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Events, Queries
from lightning_modules.parts.cut import Cut
from lightning_modules.parts.interest_graph import edges, make_gates, propagate
from lightning_modules.parts.known import known
from lightning_modules.parts.owners import event_owners
from lightning_modules.types import Interests


class GraphUniformInterest(nn.Module):
    """steps, tau, dropout: as of `interests.graph`. With steps=0 and dropout=0 it is `interests.mean`."""

    causal = True

    def __init__(self, steps: int = 1, tau: float | str = 0.0, dropout: float = 0.1) -> None:
        super().__init__()
        self.cut, self.dropout = Cut(tau), nn.Dropout(dropout)
        self.gates = make_gates(steps)

    def forward(self, vectors: Float[Tensor, "B H D"], events: Events, queries: Queries) -> Interests:
        vectors = self.dropout(vectors)
        nodes = propagate(self.gates, vectors, edges(self.cut, vectors, events))
        visible = known(events, queries).to(nodes.dtype)
        return Interests(nodes, visible / visible.sum(-1, keepdim=True), event_owners(events))
