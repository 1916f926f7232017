"""Recommend from millions of items: fetch those near an interest from an index, then rank these exactly.

    f(c|u) = sum_v w(v|u) max(cos(v, c) - tau, 0) / temperature + prior(c)

is large where c is near some node v, near their weighted sum (many interests that agree a little), or likely for
everybody. So the nearest items of each node and of the sum and those of largest prior are fetched, and the head scores
their union. A score is exact; what can go wrong is that an item is never looked at, and how often is told by `recall`.

The index is a graph of neighbours (HNSW: Malkov & Yashunin 2018) of the package usearch. faiss-cpu is as fast at equal
recall, as free and as well kept; but it brings an OpenMP and a BLAS of its own, which beside torch's crash on macOS
(faiss-wheels issue 73) and make a second pool of threads elsewhere. usearch starts plain threads, as many as it is
told, and is smaller.
"""

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from datamodules.types import QueryBlock, Ranking
from lightning_modules.finite import require_finite
from lightning_modules.heads.dot import DotHead
from lightning_modules.heads.graph import GraphHead
from lightning_modules.intervals import Interval, mean_interval
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parts.full_precision import full_precision
from lightning_modules.recommender import Recommender
from lightning_modules.types import Asked, Head, Interests, Pool

if TYPE_CHECKING:  # an extra
    from usearch.index import Index

PER_NODE = 32
WIDTH = 64
"""How many neighbours a step through the index keeps in sight (ef), at least; more find more and take longer."""

SETTINGS: dict[str, Any] = {
    "metric": "ip",
    "dtype": "f16",
    "connectivity": 16,
    "expansion_add": WIDTH,
    "expansion_search": WIDTH,
}
"""All that decides, beside the vectors, which index is made of them."""


class Retriever:
    """Makes the lists that `evaluation.rank` makes, of the items that are near.

    vectors: centred, of all rows that slots of events point into; pool: of the catalogue, which comes first in them.
    index: `build_index(pool)`. per_node: how many items that are new to the user each node brings, at least; a list
    that is longer gets as many from each. Where that is the whole catalogue the list is the exact one.
    """

    def __init__(
        self,
        model: Recommender,
        vectors: Float[Tensor, "R D"],
        pool: Pool,
        index: "Index",
        per_node: int = PER_NODE,
    ) -> None:
        if per_node < 1:
            raise ValueError(f"per_node is {per_node}; each node brings at least 1 item")
        self.model, self.vectors, self.pool, self.index, self.per_node = model, vectors, pool, index, per_node
        self.likely = pool.prior.argsort(descending=True, stable=True)

    @torch.no_grad()
    def rank(self, block: QueryBlock, protocol: EvaluationProtocol) -> Ranking:
        """The head of each query's list; rows that only fill the block up are dropped. Ranks of answers are not looked
        for (P = 0), and `n_candidates` counts what was scored. As there, a score of -inf means "never", and an answer
        is a candidate even where the history is masked and holds it.

        Raises `NotFiniteError` where a score is NaN or +inf.
        """
        asked = self.model.ask(self.vectors, block.events, block.queries)
        rows = (block.query >= 0).nonzero()[:, 0]
        found = _empty(block.query[rows], protocol.top_k)
        for place, row in enumerate(rows.tolist()):
            known = _known(block, row) if protocol.mask_history else rows[:0]
            one = _row(asked, row)
            ids = self._candidates(one, known, max(self.per_node, protocol.top_k) + len(known))
            with full_precision(self.vectors.device):
                scores = self.model.head.scores(one, Pool(self.pool.vectors[ids], self.pool.prior[ids]))[0]
            require_finite(scores[scores != -torch.inf], f"scores of query {int(block.query[row])}")
            best = scores.argsort(descending=True, stable=True)[: protocol.top_k]  # ids ascend: equals stay so
            best = best[scores[best] > -torch.inf]
            found.n_candidates[place] = len(ids)
            found.top_ids[place, : len(best)], found.top_scores[place, : len(best)] = ids[best], scores[best]
        return found

    def _candidates(self, asked: Asked, known: Int[Tensor, " X"], count: int) -> Int[Tensor, " C"]:
        """Ids, ascending, of what is worth a score: `count` from each place, without the known ones."""
        if count >= len(self.likely):
            near = torch.arange(len(self.likely), device=known.device)
        else:
            seeds = seeds_of(self.model.head, asked.interests)
            near = torch.cat([nearest(self.index, seeds, count), self.likely[:count]]).unique()
        return near[~torch.isin(near, known)]


def seeds_of(head: Head, interests: Interests) -> Float[Tensor, "S D"]:
    """Where one user's candidates are looked for: at the weighted sum of the nodes, and at each that weighs something.
    Where the head is known to make one dot product of them, the sum says it all."""
    weights = interests.weights[0, :1]
    unit = head.pool(interests.nodes[0], torch.zeros_like(interests.owner[0])).vectors  # whose prior is of no use
    total, nodes = weights @ unit, unit[weights[0] > 0]
    one = isinstance(head, DotHead) or (isinstance(head, GraphHead) and head.cut.inert) or len(nodes) == 1
    return total if one else torch.cat([total, nodes])


def build_index(pool: Pool, threads: int | None = None) -> "Index":
    """The index of a pool's vectors, by inner product: the cosine where the head gave them unit length. It holds them
    in half precision, since it only proposes.

    threads: by default as many as torch has. One makes the same index each time; several do not. Raises `ValueError`
    where the package is not installed.
    """
    kept = require_finite(pool.vectors, "the vectors of the catalogue").cpu().numpy()
    vectors = np.ascontiguousarray(kept)  # a head may keep them dimension by dimension
    index = _new_index(vectors.shape[1])
    index.add(np.arange(len(vectors)), vectors, threads=threads or torch.get_num_threads())
    return index


def read_index(path: str | os.PathLike[str], pool: Pool) -> "Index":
    """An index that `save` wrote. Raises `ValueError` where it was cut short or is of other items."""
    index = _new_index(pool.vectors.shape[1])
    try:
        index.load(path)
    except RuntimeError as error:
        raise ValueError(f"no index can be read: {error}") from error
    if (len(index), index.ndim) != tuple(pool.vectors.shape):
        raise ValueError(f"an index of {len(index)} x {index.ndim}, and the catalogue is {tuple(pool.vectors.shape)}")
    return index


def nearest(index: "Index", seeds: Float[Tensor, "S D"], count: int) -> Int[Tensor, " X"]:
    """Ids of about `count` nearest items of each seed, in no order and with repetitions."""
    from usearch.index import Matches

    found = index.search(seeds.cpu().numpy(), count, threads=torch.get_num_threads())
    each = [found] if isinstance(found, Matches) else found  # one seed, one answer
    return torch.from_numpy(np.concatenate([one.keys for one in each]).astype(np.int64)).to(seeds.device)


@dataclass(frozen=True)
class Recall:
    """Share of the exact k best that the approximate lists hold: the mean over users and its 95% interval."""

    k: int
    users: int
    mean: float
    interval: Interval


def recall(found: Int[Tensor, "Q K"], exact: Int[Tensor, "Q K"]) -> Float[Tensor, " Q"]:
    """Of each exact list, the share that is found; order does not count, -1 is no item, and of an empty list nothing is
    missed."""
    listed = exact >= 0
    held = (exact[:, :, None] == found[:, None, :]).any(2) & listed
    return torch.where(listed.any(1), held.sum(1) / listed.sum(1).clamp(min=1), 1.0)


def mean_recall(found: Int[Tensor, "Q K"], exact: Int[Tensor, "Q K"]) -> Recall:
    """Over users. Raises `ValueError` for none."""
    shares = recall(found, exact).double().cpu().numpy()
    interval = mean_interval(shares)
    return Recall(exact.shape[1], len(shares), float(shares.mean()), interval)


def require_usearch() -> None:
    """Raise `ValueError` where the package of the index is not installed."""
    try:
        importlib.import_module("usearch.index")
    except ImportError as error:
        raise ValueError("approximate lists need usearch: pip install 'interestlab[retrieval]'") from error


def _new_index(dim: int) -> "Index":
    require_usearch()
    from usearch.index import Index

    return Index(ndim=dim, **SETTINGS)


def _known(block: QueryBlock, row: int) -> Int[Tensor, " X"]:
    """Items that the user of a row had already and that are no answer, once each."""
    had = block.seen[1, block.seen[0] == row].unique()
    return had[~torch.isin(had, block.positives[row])]


def _row(asked: Asked, row: int) -> Asked:
    interests, one = asked.interests, slice(row, row + 1)
    alone = Interests(interests.nodes[one], interests.weights[one], interests.owner[one])
    return Asked(alone, asked.mask[one])


def _empty(query: Int[Tensor, " Q"], k: int) -> Ranking:
    none = torch.full((len(query), k), -torch.inf, device=query.device)
    ids = torch.full_like(none, -1, dtype=torch.long)
    return Ranking(query, ids[:, :0], none[:, :0], torch.zeros_like(query), ids, none)
