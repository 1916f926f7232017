"""Rank queries against the whole catalogue: one code for every model, closed-form or trained.

The catalogue is always cut into the same blocks, because matrix products of another shape round differently; so a
number depends on the scores alone. Scores are compared in float32.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from datamodules.types import QueryBlock, Ranking
from lightning_modules.metrics.per_query import PerQuery
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.types import NotFiniteError, Scorer

ITEMS_PER_BLOCK = 4096
"""Catalogue items scored at once. A constant and no setting: it fixes the shapes, and with them the last digit."""


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
    scorer: Scorer, block: QueryBlock, n_items: int, items_per_block: int = ITEMS_PER_BLOCK
) -> Float[Tensor, "B N"]:
    """Scores of all items, made in blocks of one width: the last block reaches back over the one before it, so that the
    scorer never sees a shorter one (unless the catalogue is shorter than one block)."""
    if n_items < 1:
        raise ValueError(f"the catalogue has {n_items} items; ranking needs at least 1")
    width = min(items_per_block, n_items)
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
    allowed = _candidates(block, scores.shape[1], protocol.mask_history)[asked]
    scores, positives = scores[asked].float(), _first_mentions(block.positives[asked])
    _refuse_nan(scores, block.query[asked], scorer)
    valid = positives >= 0
    top_ids, top_scores = _best(scores.masked_fill(~allowed, -torch.inf), protocol.top_k)
    return Ranking(
        query=block.query[asked],
        ranks=torch.where(valid, 1 + _beaten_by(scores, allowed, positives) + _places(scores, positives), 0),
        values=valid.to(scores.dtype),
        n_candidates=allowed.sum(dim=1),
        top_ids=top_ids,
        top_scores=top_scores,
    )


def _candidates(block: QueryBlock, n_items: int, mask_history: bool) -> Bool[Tensor, "B N"]:
    allowed = torch.ones(len(block.query), n_items, dtype=torch.bool, device=block.query.device)
    if mask_history:
        allowed[block.seen[0], block.seen[1]] = False
        row, column = (block.positives >= 0).nonzero(as_tuple=True)
        allowed[row, block.positives[row, column]] = True
    return allowed


def _first_mentions(positives: Int[Tensor, "Q P"]) -> Int[Tensor, "Q P"]:
    """The positives with repetitions turned into padding."""
    ordered, column = positives.sort(dim=1, stable=True)
    repeated = torch.zeros_like(ordered, dtype=torch.bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return positives.masked_fill(torch.zeros_like(repeated).scatter(1, column, repeated), -1)


def _beaten_by(
    scores: Float[Tensor, "Q N"], allowed: Bool[Tensor, "Q N"], positives: Int[Tensor, "Q P"]
) -> Int[Tensor, "Q P"]:
    """How many candidates that are no positives stand before each positive.

    The positive's score is read from the same matrix: computed apart it could differ in the last bit from itself. What
    is no rival holds -inf; only a positive that itself scores -inf could count those, hence the limit.
    """
    row, column = (positives >= 0).nonzero(as_tuple=True)
    rivals = allowed.clone()
    rivals[row, positives[row, column]] = False
    own = scores.gather(1, positives.clamp(min=0))
    rival_scores = scores.masked_fill(~rivals, -torch.inf)
    counts = torch.zeros_like(positives)
    for place in range(positives.shape[1]):  # (Q, P, N) at once would not fit
        counts[:, place] = (rival_scores >= own[:, place, None]).sum(dim=1)
    return counts.minimum(rivals.sum(dim=1, keepdim=True))


def _places(scores: Float[Tensor, "Q N"], positives: Int[Tensor, "Q P"]) -> Int[Tensor, "Q P"]:
    """Place of each positive among the query's own, from 0: by score, then by id; padding last."""
    padded = positives < 0
    own = scores.gather(1, positives.clamp(min=0)).masked_fill(padded, -torch.inf)
    by_id = positives.masked_fill(padded, scores.shape[1]).argsort(dim=1, stable=True)
    by_score = own.gather(1, by_id).argsort(dim=1, descending=True, stable=True)
    return by_id.gather(1, by_score).argsort(dim=1)


def _best(scores: Float[Tensor, "Q N"], k: int) -> tuple[Int[Tensor, "Q K"], Float[Tensor, "Q K"]]:
    """Ids and scores of the k best. `topk` breaks ties as it likes, so it gets integers without ties: the score's bits,
    put in the order of integers, above the reversed id."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    reversed_id = torch.arange(scores.shape[1] - 1, -1, -1, device=scores.device)
    ids = (ordered * 2**32 + reversed_id).topk(min(k, scores.shape[1]), dim=1).indices
    best = scores.gather(1, ids)
    missing = k - ids.shape[1]
    ids = torch.nn.functional.pad(ids.masked_fill(best == -torch.inf, -1), (0, missing), value=-1)
    return ids, torch.nn.functional.pad(best, (0, missing), value=-torch.inf)


def _refuse_nan(scores: Float[Tensor, "Q N"], query: Int[Tensor, " Q"], scorer: str) -> None:
    bad = scores.isnan() | (scores == torch.inf)
    if bad.any():
        row, item = bad.nonzero()[0].tolist()
        raise NotFiniteError(
            f"{int(bad.sum())} of {bad.numel()} scores of {scorer} are NaN or +inf, "
            f"the first for query {int(query[row])} and catalogue item {item}"
        )
