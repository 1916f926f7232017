"""Score candidates by the interest graph.

    f(c|u) = sum_v w(v|u) * max(cos(v, c) - tau, 0) / temperature + prior(c)

Without the cut the sum collapses to one dot product with sum_v w(v|u) v / |v|; the cut keeps separate interests
separate: a candidate opposite to one interest loses nothing of another.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_modules.parts.cut import Cut
from lightning_modules.parts.prior import PriorName, make_prior
from lightning_modules.parts.temperature import Temperature
from lightning_modules.types import Asked


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

    def scores(self, asked: Asked, vectors: Float[Tensor, "C D"], ids: Int[Tensor, " C"]) -> Float[Tensor, "Q C"]:
        """f(c|u) of every valid query."""
        summed = asked.interests.weights @ self.similarity(asked, vectors)
        return self.temperature(summed[asked.mask]) + self.prior(ids)

    def contributions(self, asked: Asked, vectors: Float[Tensor, "C D"]) -> Float[Tensor, "Q V C"]:
        """What each interest gave to each candidate; over V they add up to the score without the prior."""
        user, moment = asked.mask.nonzero(as_tuple=True)
        weights = asked.interests.weights[user, moment]
        return self.temperature(weights[..., None] * self.similarity(asked, vectors)[user])

    def prior(self, ids: Int[Tensor, " C"]) -> Float[Tensor, " C"]:
        """The addend of each item."""
        return self.item_prior(ids)

    def similarity(self, asked: Asked, vectors: Float[Tensor, "C D"]) -> Float[Tensor, "B V C"]:
        """sim(v, c) = max(cos(v, c) - tau, 0)."""
        return self.cut(normalize(asked.interests.nodes, dim=-1) @ normalize(vectors, dim=-1).T)
