"""Additive attention over the history: the user encoder of NRMS and PLM-NR.

w(v|u) = softmax_v q . tanh(W v + b)        (Wu et al. 2019, NRMS, equations 6-8; Wu et al. 2021, PLM-NR, section 3)

Departure: NRMS lets the events attend to one another first; here the nodes stay what the language model said, so that a
node's contribution belongs to one event.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Events, Queries
from lightning_modules.parts.known import known
from lightning_modules.parts.owners import event_owners
from lightning_modules.types import Interests


class AttentionInterest(nn.Module):
    """One learned query for all users and moments; `hidden` is the size of the attention space."""

    causal = True

    def __init__(self, dim: int, hidden: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"hidden is {hidden}; the attention space needs at least 1 dimension")
        self.project, self.query = nn.Linear(dim, hidden), nn.Linear(hidden, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Float[Tensor, "B H D"], events: Events, queries: Queries) -> Interests:
        nodes = self.dropout(vectors)
        logits = self.query(torch.tanh(self.project(nodes)))[..., 0]
        visible = known(events, queries)
        weights = logits[:, None, :].masked_fill(~visible, -torch.inf).softmax(-1)
        return Interests(nodes, weights, event_owners(events))
