"""Whitening against arithmetic by hand and against scikit-learn, and where it means nothing."""

import pytest
import torch
from sklearn.decomposition import PCA

from lightning_modules.parts.whitening import Whitening


def test_whitening_by_hand() -> None:
    # Variances 4 and 1, their mean 2.5: with eps = 0.4 the scales are (4 + 1)^-1/2 and (1 + 1)^-1/2.
    vectors = torch.tensor([[3.0, 1.0], [-1.0, 1.0], [3.0, -1.0], [-1.0, -1.0]])
    whitening = Whitening(2, eps=0.4)
    whitening.fit(vectors)
    expected = torch.tensor([[2 / 5**0.5, 0.5**0.5], [-2 / 5**0.5, 0.5**0.5]])
    torch.testing.assert_close(whitening(vectors[:2]), expected)


def test_whitening_agrees_with_scikit_learn() -> None:
    vectors = torch.randn(500, 6) @ torch.randn(6, 6) + 3.0
    whitening = Whitening(6, eps=1e-9)
    whitening.fit(vectors)
    ours = whitening(vectors)  # theirs is turned to the principal axes, and divides by n - 1
    theirs = torch.from_numpy(PCA(whiten=True).fit_transform(vectors.numpy())) * (500 / 499) ** 0.5
    torch.testing.assert_close(ours @ ours.T, theirs @ theirs.T, rtol=1e-3, atol=1e-3)


def test_clouds_nearly_alike_are_whitened_nearly_alike() -> None:
    """Where eigenvalues lie close, a little noise swaps their axes: nothing that was learned behind the one map would
    mean anything behind the other."""
    vectors = torch.randn(500, 6)
    whitened = []
    for cloud in (vectors, vectors + 0.01 * torch.randn(500, 6)):
        whitening = Whitening(6)
        whitening.fit(cloud)
        whitened.append(whitening(cloud))
    assert torch.cosine_similarity(*whitened).min() > 0.99


def test_whitening_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Whitening(3, eps=0.0)
    with pytest.raises(RuntimeError, match=r"call Encoder.fit"):
        Whitening(3)(torch.randn(2, 3))
    with pytest.raises(ValueError, match="at least 2 texts"):
        Whitening(3).fit(torch.randn(1, 3))
    with pytest.raises(ValueError, match="have the same vector"):
        Whitening(3).fit(torch.ones(4, 3))
