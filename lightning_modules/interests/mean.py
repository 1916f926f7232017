"""Every event is an interest, all of equal weight: the user of a content-based recommender."""

from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Events, Queries
from lightning_modules.parts.known import known
from lightning_modules.parts.owners import event_owners
from lightning_modules.types import Interests


class MeanInterest(nn.Module):
    """w(v|u) = 1 / number of events known at the query; nodes are the item vectors as they are. Nothing is learned."""

    causal = True

    def forward(self, vectors: Float[Tensor, "B H D"], events: Events, queries: Queries) -> Interests:
        visible = known(events, queries).to(vectors.dtype)
        return Interests(vectors, visible / visible.sum(-1, keepdim=True), event_owners(events))
