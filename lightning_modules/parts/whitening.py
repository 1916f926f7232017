"""Turn a cloud of text vectors into a round one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Whitening(nn.Module):
    """Subtract the mean and stretch so that every direction has the same variance.

        y = (x - mean) W,   W = U diag((lambda + eps * mean(lambda))^(-1/2)) U',   U diag(lambda) U' = covariance

    Sentence vectors of BERT lie in a narrow cone, where cosines say little; whitening restores them (Su et al. 2021,
    "Whitening Sentence Representations for Better Semantics and Faster Retrieval"; Huang et al. 2021, "WhiteningBERT").
    Departures: eps times the mean eigenvalue damps the small ones, since the last directions of a catalogue are noise,
    where Su et al. may cut them off; the last factor U' turns back to the axes of x (ZCA, which stays nearest to x:
    Kessy et al. 2018, "Optimal Whitening and Decorrelation", section 3), so that two clouds that are nearly alike are
    whitened nearly alike, where Su et al.'s axes swap with the order of the eigenvalues, and what was learned behind
    one cloud means something behind the other; and the map is fitted once, on the catalogue's text, and then stays.

    The numbers are buffers, so they are saved and a resumed run does not fit again. Until fitted it raises
    RuntimeError.

    dim: size of the vectors. eps: damping, as a share of the mean variance; > 0, so that fewer texts than directions
    and directions without variance are no special case.
    """

    mean: Tensor
    matrix: Tensor
    is_fitted: Tensor

    def __init__(self, dim: int, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0.0:
            raise ValueError(f"Whitening eps={eps} must be above 0: directions without variance would be divided by 0")
        self.dim, self.eps = dim, eps
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("matrix", torch.eye(dim))
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))

    @property
    def fitted(self) -> bool:
        return bool(self.is_fitted)

    @torch.no_grad()
    def fit(self, vectors: Float[Tensor, "N D"]) -> None:
        """Fit on the catalogue's vectors, in double precision."""
        if len(vectors) < 2:
            raise ValueError(
                f"Whitening needs at least 2 texts to see a variance, not {len(vectors)}: set whiten=false"
            )
        exact = vectors.double()
        mean = exact.mean(0)
        values, directions = torch.linalg.eigh((exact - mean).T @ (exact - mean) / len(exact))
        if float(values.sum()) <= 1e-12 * float(exact.square().sum(1).mean()):
            raise ValueError(
                f"All {len(vectors)} texts have the same vector, so nothing can be whitened: set whiten=false"
            )
        scale = (values.clamp(min=0.0) + self.eps * values.mean()).rsqrt()
        self.mean.copy_(mean)
        self.matrix.copy_((directions * scale) @ directions.T)
        self.is_fitted.fill_(True)

    def forward(self, vectors: Float[Tensor, "U D"]) -> Float[Tensor, "U D"]:
        if not self.fitted:
            raise RuntimeError("Whitening was not fitted: call Encoder.fit(catalogue) before the first step")
        return (vectors - self.mean) @ self.matrix
