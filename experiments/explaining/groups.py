"""Colours for interests: those that are alike share one. The model knows no such groups."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

MOST = 6
"""As many colours as a person tells apart in one figure."""


def groups(cosine: np.ndarray, most: int = MOST) -> list[int]:
    """A group number, from 0 in order of first sight, for each of V interests with the mutual cosines (V, V).

    Ward's method on the distances of unit vectors, |a - b|^2 = 2 - 2 cos: it avoids groups of one (Ward 1963). About
    one group for every three interests, at most `most`.
    """
    count = len(cosine)
    if count < 2:
        return [0] * count
    distance = np.sqrt(np.maximum(2 - 2 * np.asarray(cosine, dtype=np.float64), 0))
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform((distance + distance.T) / 2, checks=False), method="ward")
    labels = fcluster(tree, t=min(most, max(1, count // 3)), criterion="maxclust")
    order = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return [order[label] for label in labels.tolist()]
