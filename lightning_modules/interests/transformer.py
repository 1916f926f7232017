"""The history read by a causal transformer: SASRec's user (Kang & McAuley 2018).

Each position's contextual vector is a node, and the query at position t puts all its weight on node t: the
single-vector model as a special case of the interest graph.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Events, Queries
from lightning_modules.parts.causal_block import CausalBlock
from lightning_modules.parts.owners import event_owners
from lightning_modules.types import Interests


class TransformerInterest(nn.Module):
    """Learned positions counted from the oldest event of the window, `layers` causal blocks, a last layer norm."""

    causal = True

    def __init__(self, dim: int, history_length: int, layers: int = 2, heads: int = 2, dropout: float = 0.2) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers is {layers}; use interest=mean for no layer at all")
        self.positions = nn.Parameter(torch.empty(history_length, dim))
        nn.init.normal_(self.positions, std=0.02)
        self.blocks = nn.ModuleList(CausalBlock(dim, heads, dropout) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, vectors: Float[Tensor, "B H D"], events: Events, queries: Queries) -> Interests:
        length = vectors.shape[1]
        if length > len(self.positions):
            raise ValueError(f"a history of {length} events came to a transformer of {len(self.positions)} positions")
        hidden = self.dropout(vectors + self.positions[:length])
        for block in self.blocks:
            hidden = block(hidden)
        weights = nn.functional.one_hot(queries.position, length).to(hidden.dtype)
        return Interests(self.norm(hidden), weights, event_owners(events))
