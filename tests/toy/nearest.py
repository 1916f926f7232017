"""Score by the weighted sum of inner products."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_modules.types import Asked, Pool


class NearestHead(nn.Module):
    """Candidates by their weighted inner product with the interests; no prior."""

    def __init__(self, n_items: int, scale: float = 1.0) -> None:
        super().__init__()
        self.n_items, self.scale = n_items, scale

    def pool(self, vectors: Float[Tensor, "C D"], ids: Int[Tensor, " C"]) -> Pool:
        return Pool(vectors, self.prior(ids))

    def scores(self, asked: Asked, pool: Pool) -> Float[Tensor, "Q C"]:
        return self.contributions(asked, pool.vectors).sum(1) + pool.prior

    def contributions(self, asked: Asked, vectors: Float[Tensor, "C D"]) -> Float[Tensor, "Q V C"]:
        user, moment = asked.mask.nonzero(as_tuple=True)
        weights = asked.interests.weights[user, moment]
        return self.scale * weights[..., None] * (asked.interests.nodes[user] @ vectors.T)

    def prior(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]:
        return 0.0 * ids.float()
