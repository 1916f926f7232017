"""The networks of bottleneck adapters: down to a few features, a nonlinearity, and up again.

What maps down and up is a kind of its own: dense, as in most papers, or a sum of Kronecker products, whose parameters
are fewer by about the number of its terms (Karimi Mahabadi et al. 2021, "Compacter").
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "gelu", "tanh", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU}


class Maps(NamedTuple):
    """x (D) -> W_down x + b_down (r), and h (r) -> W_up h + b_up (D), of which W_up and both biases are zero."""

    down: nn.Module
    up: nn.Module


class Bottleneck(nn.Module):
    """x -> s (W_up f(W_down x + b_down) + b_up), in half precision under autocast, else in that of its parameters."""

    def __init__(self, maps: Maps, activation: str, scale: float) -> None:
        super().__init__()
        self.down, self.up = maps
        self.activation = ACTIVATIONS[activation]()
        self.scale = scale

    def forward(self, x: Float[Tensor, "*rest D"]) -> Float[Tensor, "*rest D"]:
        narrow = self.activation(self.down(x.to(next(self.parameters()).dtype)))
        return (self.scale * self.up(narrow)).to(x.dtype)


class SlowWeights(nn.Module):
    """A_1 .. A_n, each (n, n): what all adapters of a model have in common, and all of them train.

    Normally distributed with variance 1 / n, so that a sum of n terms is as large as one of them without its A.
    """

    def __init__(self, terms: int) -> None:
        super().__init__()
        self.matrices = nn.Parameter(torch.randn(terms, terms, terms) / terms**0.5)


class HypercomplexLinear(nn.Module):
    """x -> W x + b with W = sum_i A_i kron (s_i t_i), where A_i are slow weights, s_i (out / n, rank) and t_i
    (rank, in / n) are this layer's own ("fast weights").

    Karimi Mahabadi et al. 2021, "Compacter", the low-rank hypercomplex layer; the sum of Kronecker products is the
    hypercomplex multiplication of Zhang et al. 2021, "Beyond Fully-Connected Layers with Quaternions". s and t start as
    in Glorot and Bengio 2010.

    It looks the slow weights up where they are registered, which is in one layer alone: in a model's state they stand
    once, and a copy of the whole model, or of its parameters in other precision, shares them still.
    """

    def __init__(self, inside: int, outside: int, slow: SlowWeights, rank: int) -> None:
        super().__init__()
        terms = len(slow.matrices)
        self._slow = (slow,)  # a tuple hides it from torch's registration
        self.left = nn.Parameter(torch.empty(terms, outside // terms, rank))
        self.right = nn.Parameter(torch.empty(terms, rank, inside // terms))
        self.bias = nn.Parameter(torch.zeros(outside))
        for term in (*self.left, *self.right):
            nn.init.xavier_uniform_(term)

    @property
    def slow(self) -> SlowWeights:
        """The weights shared with others."""
        return self._slow[0]

    def matrix(self) -> Float[Tensor, "O I"]:
        """W."""
        blocks = torch.einsum("nij,nkr,nrl->ikjl", self.slow.matrices, self.left, self.right)
        return blocks.flatten(2).flatten(0, 1)

    def forward(self, x: Float[Tensor, "*rest I"]) -> Float[Tensor, "*rest O"]:
        return F.linear(x, self.matrix(), self.bias)


def dense(width: int, reduction: int, first: Bottleneck | None) -> Maps:
    """Two matrices. Raises ValueError where the reduction leaves no bottleneck."""
    narrow = _narrow(width, reduction)
    down, up = nn.Linear(width, narrow), nn.Linear(narrow, width)
    for start in (down.bias, up.weight, up.bias):
        nn.init.zeros_(start)
    return Maps(down, up)


def hypercomplex(width: int, reduction: int, first: Bottleneck | None, terms: int = 4, rank: int = 1) -> Maps:
    """Two sums of `terms` Kronecker products, whose slow weights are those of the adapter's first network; the first
    one brings them. Raises ValueError where widths cannot be cut into so many parts, naming what fits."""
    narrow = _narrow(width, reduction)
    if width % terms or narrow % terms:
        raise ValueError(_no_parts(width, reduction, terms))
    slow = SlowWeights(terms) if first is None else cast(HypercomplexLinear, first.down).slow
    down, up = HypercomplexLinear(width, narrow, slow, rank), HypercomplexLinear(narrow, width, slow, rank)
    nn.init.zeros_(up.right)
    if first is None:
        down.add_module("shared", slow)
    return Maps(down, up)


KINDS: dict[str, Callable[..., Maps]] = {"dense": dense, "hypercomplex": hypercomplex}
"""Kind of network -> what makes its maps from the width of what it reads, the reduction and the network that the same
adapter has in the first of its places (None where this is the first)."""


def network(
    kind: str, width: int, reduction: int, activation: str, scale: float, first: Bottleneck | None, **settings: Any
) -> Bottleneck:
    """A network of a kind, which starts as x -> 0."""
    return Bottleneck(KINDS[kind](width, reduction, first, **settings), activation, scale)


def _narrow(width: int, reduction: int) -> int:
    if reduction > width:
        raise ValueError(f"adapter reduction {reduction} leaves nothing of width {width}: give at most {width}")
    return width // reduction


def _no_parts(width: int, reduction: int, terms: int) -> str:
    if width % terms:
        fitting = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
        return f"terms={terms} does not divide the width {width}: give one of {fitting}"
    fitting = ", ".join(str(part) for part in range(1, width // terms + 1) if width // terms % part == 0)
    return (
        f"adapter reduction {reduction} leaves {width // reduction} of width {width}, which terms={terms} does not "
        f"divide: give a reduction of {fitting}, or fewer terms"
    )
