"""An item is a vector of its own, learned from its interactions alone."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from datamodules.types import Items
from lightning_modules.parts.runs import Run
from lightning_modules.types import State


class ItemIdBackbone(nn.Module):
    """One learned vector for each catalogue item: the item side of SASRec (Kang & McAuley 2018) and GRU4Rec.

    Nothing is pretrained and there are no layers. The vectors start as normal noise of deviation 0.02, as BERT's
    tables do (Devlin et al. 2019, released code). An item without training interactions
    learns at most whom it does not interest: only text can rank it.

    n_items: size of the catalogue. dim: size of a vector. dropout: share of a vector's entries dropped in training.
    """

    pools_with_parameters = False
    packs = True

    def __init__(self, n_items: int, dim: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        if n_items < 1 or dim < 1:
            raise ValueError(f"ItemIdBackbone needs n_items >= 1 and dim >= 1, not n_items={n_items}, dim={dim}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"ItemIdBackbone dropout={dropout} lies outside [0, 1)")
        self.depth = 0
        self.dim = dim
        self.pretrained: nn.Module | None = None
        self.layers: list[nn.Module] = []
        self.embedding = nn.Embedding(n_items, dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def embed(self, items: Items) -> State:
        return State(items.ids, self.embedding(items.ids), (Run(len(items), 1),))

    def run(self, state: State, start: int, stop: int) -> State:
        return state

    def pool(self, state: State) -> Float[Tensor, "U D"]:
        return state.hidden

    def settle(self, pooled: Float[Tensor, "U D"]) -> Float[Tensor, "U D"]:
        return pooled

    def final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U D"]) -> Float[Tensor, "U D"]:
        return self.dropout(settled)
