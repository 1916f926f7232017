"""The threshold of the interest graph: below it two vectors are strangers."""

import re

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

SAMPLE = 2048  # items whose mutual cosines estimate a quantile: two million pairs, the same ones each time


class Cut(nn.Module):
    """max(cosine - tau, 0) with tau a number, or a quantile of the catalogue's cosines.

    tau: a number in [-1, 1), or "q" and a share: "q0.9" lets the nearest tenth of all item pairs count. A quantile is
    taken from the centred catalogue by `calibrate`; until then it is 0. `share` is the share of item pairs that the cut
    removes: where it is nearly nothing, the graph is complete and scoring collapses to one dot product (module
    `heads.graph`).
    """

    tau: Tensor
    share: Tensor

    def __init__(self, tau: float | str = 0.0) -> None:
        super().__init__()
        self.quantile, fixed = _parse(tau)
        self.inert = self.quantile is None and fixed <= -1  # no cosine lies below
        self.at_zero = self.quantile is None and fixed == 0  # nothing to subtract from each of a million cosines
        self.register_buffer("tau", torch.tensor(fixed))
        self.register_buffer("share", torch.tensor(0.0))

    def forward(self, cosine: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The cosines are overwritten: there are too many of them to be written twice."""
        return torch.relu_(cosine if self.at_zero else cosine.sub_(self.tau))

    @torch.no_grad()
    def calibrate(self, catalogue: Float[Tensor, "N D"]) -> None:
        """Set tau from the centred catalogue where it is a quantile, and measure the share of pairs that are cut."""
        chosen = torch.randperm(len(catalogue), generator=torch.Generator().manual_seed(0))[:SAMPLE]
        unit = normalize(catalogue[chosen.to(catalogue.device)], dim=-1)
        cosine = (unit @ unit.T)[~torch.eye(len(unit), dtype=torch.bool, device=unit.device)]
        if self.quantile is not None and len(cosine):
            rank = min(int(self.quantile * len(cosine)), len(cosine) - 1)  # torch.quantile refuses 2^24 values and more
            self.tau.copy_(cosine.sort().values[rank])
        self.share.copy_((cosine <= self.tau).float().mean() if len(cosine) else torch.tensor(0.0))


def _parse(tau: float | str) -> tuple[float | None, float]:
    if isinstance(tau, str):
        found = re.fullmatch(r"q(0?\.\d+|0)", tau)
        if found is None:
            raise ValueError(f"tau is '{tau}'; it is a number in [-1, 1) or a quantile such as q0.5")
        return float(found[1]), 0.0
    if not -1 <= tau < 1:
        raise ValueError(f"tau is {tau}; a cosine threshold lies in [-1, 1)")
    return None, float(tau)
