"""How many floating-point operations a step needs, counting real tokens alone, and how a cost grows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """An encoder of BERT's form. depth: layers; dim: width; inner: width of the feed-forward block."""

    depth: int
    dim: int
    inner: int

    def training(self, tokens: float, squares: float) -> float:
        """Operations of one step of full fine-tuning. tokens: all of them; squares: sum over texts of length squared.

        A product of matrices costs two operations an entry and three times that with its two gradients. Each token
        meets 4 D^2 weights of attention and 2 D D' of the feed-forward block, and each pair of a text's tokens 2 D in
        scores and mixing. Norms, softmax, dropout and GELU are left out, as is customary (Kaplan et al. 2020, 2.1).
        """
        weights = 4 * self.dim**2 + 2 * self.dim * self.inner
        return 6.0 * self.depth * (weights * tokens + 2 * self.dim * squares)


MINILM = Shape(depth=6, dim=384, inner=1536)


def ranking(users: int, nodes: int, items: int, dim: int) -> float:
    """Operations of ranking under the cut: a cosine for each node and item, then a weighted sum over nodes."""
    return 2.0 * users * nodes * items * (dim + 1)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """k of cost = c size^k, by least squares in logarithms. Raises `ValueError` for fewer than two sizes."""
    if len(sizes) < 2 or len(sizes) != len(costs):
        raise ValueError(f"{len(sizes)} sizes and {len(costs)} costs show no growth")
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    centre_x, centre_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - centre_x) ** 2 for a in x)
    return sum((a - centre_x) * (b - centre_y) for a, b in zip(x, y, strict=True)) / spread
