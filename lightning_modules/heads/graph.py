"""Score candidates by the interest graph.

    f(c|u) = sum_v w(v|u) * max(cos(v, c) - tau, 0) / temperature + prior(c)

Without the cut the sum collapses to one dot product with sum_v w(v|u) v / |v|; the cut keeps separate interests
separate: a candidate opposite to one interest loses nothing of another. Where nothing can be cut (tau = -1) the one
dot product is taken.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_modules.parts.cut import Cut
from lightning_modules.parts.prior import PriorName, make_prior
from lightning_modules.parts.temperature import Temperature
from lightning_modules.types import Asked, Pool


class GraphHead(nn.Module):
    """tau: see `parts.cut`. temperature: where learning starts. prior: none, popularity or learned (`parts.prior`)."""

    def __init__(
        self,
        item_counts: Int[Tensor, " N"],
        tau: float | str = 0.0,
        temperature: float = 0.07,
        prior: PriorName = "none",
    ) -> None:
        super().__init__()
        self.cut, self.temperature = Cut(tau), Temperature(temperature)
        self.item_prior = make_prior(prior, item_counts)

    def pool(self, vectors: Float[Tensor, "C D"], ids: Int[Tensor, " C"]) -> Pool:
        """Candidates of unit length, with their priors."""
        return Pool(normalize(vectors, dim=-1), self.prior(ids))

    def scores(self, asked: Asked, pool: Pool) -> Float[Tensor, "Q C"]:
        """f(c|u) of every valid query. The temperature divides the weights, which are fewer than the scores."""
        unit, weights = normalize(asked.interests.nodes, dim=-1), self.temperature(asked.interests.weights)
        if self.cut.inert:
            user = asked.queries(weights @ unit)
            return user @ pool.vectors.T + pool.prior - self.cut.tau * asked.queries(weights).sum(-1, keepdim=True)
        return asked.queries(torch.baddbmm(pool.prior, weights, self.cut(unit @ pool.vectors.T)))

    def contributions(self, asked: Asked, vectors: Float[Tensor, "C D"]) -> Float[Tensor, "Q V C"]:
        """What each interest gave to each candidate; over V they add up to the score without the prior."""
        user, moment = asked.mask.nonzero(as_tuple=True)
        weights = asked.interests.weights[user, moment]
        alike = self.cut(normalize(asked.interests.nodes, dim=-1) @ normalize(vectors, dim=-1).T)
        return self.temperature(weights[..., None] * alike[user])

    def prior(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]:
        """The addend of each item."""
        return self.item_prior(ids)
