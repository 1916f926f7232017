"""The graph of a user's events: who is joined with whom, and how nodes take in their neighbours.

    edges   (i, j), j < i:   a_ij = max(cos(v_i, v_j) - tau, 0)
    nodes   v_i <- v_i + g * sum_j a_ij v_j / sum_j a_ij      once for each gate g, learned, at first 0

Mean aggregation is GraphSAGE's (Hamilton et al. 2017, section 3.3).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from datamodules.types import Events
from lightning_modules.parts.cut import Cut


def make_gates(steps: int) -> nn.Parameter | None:
    """One gate for each round of propagation; none for 0, since what is never used never trains. Raises `ValueError`
    below 0."""
    if steps < 0:
        raise ValueError(f"steps is {steps}; propagation is made 0 times or more")
    return nn.Parameter(torch.zeros(steps)) if steps else None


def edges(cut: Cut, vectors: Float[Tensor, "B H D"], events: Events) -> Float[Tensor, "B H H"]:
    """a_ij for j < i among true events; a node's edge to itself is left out."""
    unit = normalize(vectors, dim=-1)
    alike = cut(unit @ unit.transpose(1, 2))
    pairs = events.mask[:, :, None] & events.mask[:, None, :]
    return (alike * pairs).tril(-1)


def propagate(
    gates: nn.Parameter | None, vectors: Float[Tensor, "B H D"], joined: Float[Tensor, "B H H"]
) -> Float[Tensor, "B H D"]:
    """As many rounds of weighted mean aggregation from earlier neighbours as there are gates."""
    if gates is None:
        return vectors
    shares = joined / joined.sum(-1, keepdim=True).clamp(min=1e-6)
    for gate in gates:
        vectors = vectors + gate * (shares @ vectors)
    return vectors
