"""An item is its text and a vector of its own."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from datamodules.types import Items
from lightning_modules.types import Backbone, State


class HybridBackbone(nn.Module):
    """vector(i) = W text(i) + b + e_i: text places an item among its like, the id corrects what behaviour knows better.

    e_i starts as normal noise of deviation 0.02, so that text decides at first: with whitened text the entries of
    W text(i) start with deviation 1 / sqrt(3) = 0.58, by PyTorch's start of W.

    text: the backbone that reads the text; give it no `dim` of its own, the projection is here. n_items: size of the
    catalogue. dim: size of a vector. dropout: share of the sum's entries dropped in training.
    """

    def __init__(self, text: Backbone, n_items: int, dim: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        if n_items < 1 or dim < 1:
            raise ValueError(f"HybridBackbone needs n_items >= 1 and dim >= 1, not n_items={n_items}, dim={dim}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"HybridBackbone dropout={dropout} lies outside [0, 1)")
        self.text = text
        self.depth = text.depth
        self.packs = text.packs
        self.dim = dim
        self.layers = text.layers
        self.pools_with_parameters = text.pools_with_parameters
        self.projection = nn.Linear(text.dim, dim)
        self.embedding = nn.Embedding(n_items, dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=0.02)

    @property
    def pretrained(self) -> nn.Module | None:
        """The text's; a property, since a module stored under two names would stand in a checkpoint twice."""
        return self.text.pretrained

    def embed(self, items: Items) -> State:
        return self.text.embed(items)

    def run(self, state: State, start: int, stop: int) -> State:
        return self.text.run(state, start, stop)

    def pool(self, state: State) -> Float[Tensor, "U F"]:
        return self.text.pool(state)

    def settle(self, pooled: Float[Tensor, "U F"]) -> Float[Tensor, "U F"]:
        return self.text.settle(pooled)

    def final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U F"]) -> Float[Tensor, "U D"]:
        return self.dropout(self.projection(self.text.final(ids, settled)) + self.embedding(ids))
