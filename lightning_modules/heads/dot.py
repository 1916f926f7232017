"""Score candidates by one user vector.

    f(c|u) = <sum_v w(v|u) v, c> / temperature + prior(c)

With similarity `cosine` node and candidate have unit length, which makes the graph head's sum without a cut; with
`inner` they keep their lengths, as in SASRec (Kang & McAuley 2018, section 3.3).
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_modules.parts.prior import PriorName, make_prior
from lightning_modules.parts.temperature import Temperature
from lightning_modules.types import Asked, Pool

Similarity = Literal["cosine", "inner"]


class DotHead(nn.Module):
    """temperature: where learning starts (1 suits `inner`). prior: none, popularity or learned (`parts.prior`)."""

    def __init__(
        self,
        item_counts: Int[Tensor, " N"],
        similarity: Similarity = "cosine",
        temperature: float = 0.07,
        prior: PriorName = "none",
    ) -> None:
        super().__init__()
        if similarity not in ("cosine", "inner"):
            raise ValueError(f"similarity is '{similarity}'; it is one of cosine, inner")
        self.similarity = similarity
        self.temperature = Temperature(temperature)
        self.item_prior = make_prior(prior, item_counts)

    def pool(self, vectors: Float[Tensor, "C D"], ids: Int[Tensor, " C"]) -> Pool:
        """Candidates, of unit length where similarity is `cosine`, with their priors."""
        return Pool(self._scaled(vectors), self.prior(ids))

    def scores(self, asked: Asked, pool: Pool) -> Float[Tensor, "Q C"]:
        """f(c|u) of every valid query. The temperature divides the user, who is smaller than the scores."""
        user = asked.queries(asked.interests.weights @ self._scaled(asked.interests.nodes))
        return torch.addmm(pool.prior, self.temperature(user), pool.vectors.T)

    def contributions(self, asked: Asked, vectors: Float[Tensor, "C D"]) -> Float[Tensor, "Q V C"]:
        """What each interest gave to each candidate; over V they add up to the score without the prior."""
        user, moment = asked.mask.nonzero(as_tuple=True)
        alike = self._scaled(asked.interests.nodes)[user] @ self._scaled(vectors).T
        return self.temperature(asked.interests.weights[user, moment][..., None] * alike)

    def prior(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]:
        """The addend of each item."""
        return self.item_prior(ids)

    def _scaled(self, vectors: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows D"]:
        return normalize(vectors, dim=-1) if self.similarity == "cosine" else vectors
