"""Rank queries against the whole catalogue: one code for every model, closed-form or trained.

The catalogue is always cut into the same blocks, because matrix products of another shape round differently; so a
number depends on the scores alone. Scores are compared in float32. Making them is all the arithmetic there is: a rank
is counted and never sorted for, and the head of the list is looked for where its members can be.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from datamodules.types import QueryBlock, Ranking
from lightning_modules.finite import NotFiniteError
from lightning_modules.metrics.per_query import PerQuery
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.types import Scorer

ITEMS_PER_BLOCK = {"cpu": 512, "cuda": 16_384}
"""Catalogue items scored at once: on a CPU what its cache holds; any other accelerator counts as a GPU. No setting: it
fixes the shapes, and with them the last digit."""

GROUP = 64
"""Neighbours in the catalogue of which only the best is compared at first, see `_best`."""


def rank(scorer: Scorer, block: QueryBlock, n_items: int, protocol: EvaluationProtocol) -> Ranking:
    """Rank the block's queries; rows that only fill it up (query -1) are dropped.

    Raises `NotFiniteError` where a score is NaN or +inf, naming scorer, query and item; -inf means "never".
    """
    return rank_scores(catalogue_scores(scorer, block, n_items), block, protocol, type(scorer).__name__)


@torch.no_grad()
def evaluate(
    scorer: Scorer, blocks: Iterable[QueryBlock], n_items: int, protocol: EvaluationProtocol
) -> dict[str, np.ndarray]:
    """Rank all blocks with a scorer that is fitted and prepared; the table of `PerQuery.table`."""
    collected = PerQuery(protocol.metrics)
    for block in blocks:
        collected.to(block.query.device).update(rank(scorer, block, n_items, protocol))
    return collected.table()


def catalogue_scores(
    scorer: Scorer, block: QueryBlock, n_items: int, items_per_block: int | None = None
) -> Float[Tensor, "B N"]:
    """Scores of all items, made in blocks of one width: the last block reaches back over the one before it, so that the
    scorer never sees a shorter one (unless the catalogue is shorter than one block)."""
    if n_items < 1:
        raise ValueError(f"the catalogue has {n_items} items; ranking needs at least 1")
    usual = ITEMS_PER_BLOCK.get(block.query.device.type, ITEMS_PER_BLOCK["cuda"])
    width = min(items_per_block or usual, n_items)
    scores = torch.empty(len(block.query), n_items, device=block.query.device)
    for start in range(0, n_items, width):
        first = min(start, n_items - width)
        part = scorer.scores(block, first, first + width)
        if part.shape != (len(block.query), width):
            raise ValueError(
                f"{type(scorer).__name__} gave scores of shape {tuple(part.shape)} for {len(block.query)} queries "
                f"and the {width} items from {first} on"
            )
        scores[:, start : first + width] = part[:, start - first :]
    return scores


def rank_scores(
    scores: Float[Tensor, "B N"], block: QueryBlock, protocol: EvaluationProtocol, scorer: str = "the model"
) -> Ranking:
    """The ranking that given scores mean; `scorer` names their maker in errors, which are those of `rank`.

    A positive's rank is its place in the list of all candidates: 1 + other candidates that score higher or *the same*
    (pessimistic: a model that gives every item one score ranks the answer last). Among themselves positives stand by
    score, then by id, so that no two share a place. A positive is a candidate even where the history is masked and
    holds it; one named twice counts once. Recommended lists put the smaller id first among equals and leave -inf out.
    """
    asked = (block.query >= 0).nonzero()[:, 0]
    scores, positives = scores[asked].float(), _first_mentions(block.positives[asked])
    _refuse_nan(scores, block.query[asked], scorer)
    valid, own = positives >= 0, scores.gather(1, positives.clamp(min=0))
    banned = _banned(block, asked, positives, scores.shape[1]) if protocol.mask_history else None
    n_candidates = torch.full_like(asked, scores.shape[1])
    if banned is not None:
        scores.index_put_(banned, scores.new_tensor(-torch.inf))
        n_candidates = n_candidates - torch.bincount(banned[0], minlength=len(asked))
    top_ids, top_scores = _best(scores, protocol.top_k)
    before = _beaten_by(scores, own, valid, n_candidates) + _places(own, positives)
    return Ranking(
        query=block.query[asked],
        ranks=torch.where(valid, 1 + before, 0),
        values=valid.to(scores.dtype),
        n_candidates=n_candidates,
        top_ids=top_ids,
        top_scores=top_scores,
    )


def _banned(
    block: QueryBlock, asked: Int[Tensor, " Q"], positives: Int[Tensor, "Q P"], n_items: int
) -> tuple[Int[Tensor, " X"], Int[Tensor, " X"]]:
    """(row, item) of each item of a query's history that is not its answer, once."""
    place = torch.full((len(block.query),), -1, device=asked.device)
    place[asked] = torch.arange(len(asked), device=asked.device)
    row, item = place[block.seen[0]], block.seen[1]
    history = (row * n_items + item)[row >= 0].unique()
    query, column = (positives >= 0).nonzero(as_tuple=True)
    left = history[~torch.isin(history, query * n_items + positives[query, column])]
    return left // n_items, left % n_items


def _first_mentions(positives: Int[Tensor, "Q P"]) -> Int[Tensor, "Q P"]:
    """The positives with repetitions turned into padding."""
    ordered, column = positives.sort(dim=1, stable=True)
    repeated = torch.zeros_like(ordered, dtype=torch.bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return positives.masked_fill(torch.zeros_like(repeated).scatter(1, column, repeated), -1)


def _beaten_by(
    scores: Float[Tensor, "Q N"], own: Float[Tensor, "Q P"], valid: Bool[Tensor, "Q P"], n_candidates: Int[Tensor, " Q"]
) -> Int[Tensor, "Q P"]:
    """How many candidates that are no positives stand before each positive. What is no candidate holds -inf.

    The positive's score is read from the same matrix: computed apart it could differ in the last bit from itself. Only
    a positive that itself scores -inf could count what is no candidate, hence the limit.
    """
    counts = torch.zeros_like(own, dtype=torch.long)
    for place in range(own.shape[1]):  # (Q, P, N) at once would not fit
        alike = (own >= own[:, place, None]) & valid
        counts[:, place] = (scores >= own[:, place, None]).sum(dim=1) - alike.sum(dim=1)
    return counts.minimum((n_candidates - valid.sum(dim=1))[:, None])


def _places(own: Float[Tensor, "Q P"], positives: Int[Tensor, "Q P"]) -> Int[Tensor, "Q P"]:
    """Place of each positive among the query's own, from 0: by score, then by id; padding last."""
    padded = positives < 0
    own = own.masked_fill(padded, -torch.inf)
    by_id = positives.masked_fill(padded, torch.iinfo(positives.dtype).max).argsort(dim=1, stable=True)
    by_score = own.gather(1, by_id).argsort(dim=1, descending=True, stable=True)
    return by_id.gather(1, by_score).argsort(dim=1)


def _best(scores: Float[Tensor, "Q N"], k: int) -> tuple[Int[Tensor, "Q K"], Float[Tensor, "Q K"]]:
    """Ids and scores of the k best; among equals the smaller id, -inf left out.

    The k best lie in the k groups of neighbours whose own best come first: a member of another group has k items before
    it, one of each of these.
    """
    n = scores.shape[1]
    if n > k * GROUP:
        whole = n // GROUP * GROUP
        tops = scores[:, :whole].unflatten(1, (-1, GROUP)).amax(2)
        tops = torch.cat([tops, scores[:, whole:].amax(1, keepdim=True)], dim=1) if whole < n else tops
        groups = _first(tops, k).sort(dim=1).values
        ids = (groups[..., None] * GROUP + torch.arange(GROUP, device=scores.device)).flatten(1)
        inside = scores.gather(1, ids.clamp(max=n - 1)).masked_fill(ids >= n, -torch.inf)
        ids = ids.gather(1, _first(inside, k))  # ascending ids: the order within is that of the ids
    else:
        ids = _first(scores, k)
    best = scores.gather(1, ids.clamp(max=n - 1)).masked_fill(ids >= n, -torch.inf)
    missing = k - ids.shape[1]
    ids = torch.nn.functional.pad(ids.masked_fill(best == -torch.inf, -1), (0, missing), value=-1)
    return ids, torch.nn.functional.pad(best, (0, missing), value=-torch.inf)


def _first(scores: Float[Tensor, "Q X"], k: int) -> Int[Tensor, "Q K"]:
    """Columns of the k best, the earlier among equals. `topk` breaks ties as it likes, so it gets integers without
    ties: the score's bits, put in the order of integers, above the reversed column."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    reversed_column = torch.arange(scores.shape[1] - 1, -1, -1, device=scores.device)
    return (ordered * 2**32 + reversed_column).topk(min(k, scores.shape[1]), dim=1).indices


def _refuse_nan(scores: Float[Tensor, "Q N"], query: Int[Tensor, " Q"], scorer: str) -> None:
    bad = scores.isnan() | (scores == torch.inf)
    if bad.any():
        row, item = bad.nonzero()[0].tolist()
        raise NotFiniteError(
            f"{int(bad.sum())} of {bad.numel()} scores of {scorer} are NaN or +inf, "
            f"the first for query {int(query[row])} and catalogue item {item}"
        )
