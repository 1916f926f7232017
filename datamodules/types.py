"""The vocabulary that data and models share: small records of tensors, and the letters of their shapes.

    B  users of a batch                V  interest nodes of a user
    H  history positions               Q  valid queries of a batch (the True entries of a (B, T) mask, row by row)
    T  query positions of a user       C  candidates
    U  distinct items of a batch       N  items of the catalogue
    S  tokens of a text                P  positives of a query
    D  size of a vector                K  length of a recommendation list
    L, E  length of a flat (ragged) array of tokens or of events
    O  offsets into such an array, one more than it has rows

Padding is always on the right and always said by a mask: a padded index is 0 and means nothing.
Times are seconds in float64; a corpus without times has `time=None` in every record.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


@dataclass
class Ragged:
    """Rows of unequal length, end to end: row u is values[offsets[u]:offsets[u + 1]]. A value is a number or vector."""

    values: Shaped[Tensor, "L *rest"]
    offsets: Int[Tensor, " O"]

    def lengths(self) -> Int[Tensor, " U"]:
        return self.offsets[1:] - self.offsets[:-1]

    def take(self, rows: Int[Tensor, " U"]) -> "Ragged":
        """The given rows, in the given order."""
        lengths = self.lengths()[rows]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = torch.repeat_interleave(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return Ragged(self.values[torch.arange(int(offsets[-1]), device=shift.device) + shift], offsets)


@dataclass
class Items:
    """U distinct items: their catalogue ids and what is known of them. A model takes what it needs.

    tokens: word pieces of each item's text, special tokens included. states: a vector for each of these tokens made
    beforehand (what leaves the lower, frozen layers of a language model). features: one vector per item made beforehand
    (what leaves a language model that is frozen as a whole).
    """

    ids: Int[Tensor, " U"]
    tokens: Ragged | None = None
    states: Ragged | None = None
    features: Float[Tensor, "U F"] | None = None

    def take(self, rows: Int[Tensor, " U2"]) -> "Items":
        return Items(
            self.ids[rows],
            None if self.tokens is None else self.tokens.take(rows),
            None if self.states is None else self.states.take(rows),
            None if self.features is None else self.features[rows],
        )

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Events:
    """B histories in time order. `slot` points into the U item vectors that come along; behaviour 0 means unknown.

    strength is standardised over the training events (mean 0, deviation 1; 0 where unknown).
    """

    user: Int[Tensor, " B"]
    slot: Int[Tensor, "B H"]
    mask: Bool[Tensor, "B H"]
    behaviour: Int[Tensor, "B H"]
    strength: Float[Tensor, "B H"]
    time: Float[Tensor, "B H"] | None = None


@dataclass
class Queries:
    """Where the model is asked: `position` is the last history position that a query may look at.

    In training by `next` T = H and position t is t; at inference T = 1 and the position is the last valid one.
    time is the moment of asking ("now"), never the target's time.
    """

    position: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    time: Float[Tensor, "B T"] | None = None


@dataclass
class Candidates:
    """C items that every query of the batch is scored against; `slot` points into the U item vectors.

    log_q: log of the probability that sampling put the item here; 0 where nothing was sampled (Bengio & Senecal 2008).
    """

    slot: Int[Tensor, " C"]
    log_q: Float[Tensor, " C"]


@dataclass
class Targets:
    """The answers of the Q valid queries: `column` points into the C candidates; `value` is the answer's weight or
    amount."""

    column: Int[Tensor, " Q"]
    value: Float[Tensor, " Q"]


@dataclass
class Batch:
    """One training step: every distinct item once, everything else as indices."""

    items: Items
    events: Events
    queries: Queries
    candidates: Candidates
    targets: Targets


@dataclass
class QueryBlock:
    """Queries to be ranked against the whole catalogue, in a shape that depends on nothing a user sets.

    Slots of `events` are rows of the text table: the catalogue first, in order of its ids, then texts that tell a
    behaviour. query: row in the query set, -1 where the block is filled up. positives:
    catalogue ids, -1 padded. seen: (row of the block, catalogue id) of everything in each user's whole history. truth:
    the user's latent interests at the moment of the answer, known for simulated data and read by the oracle alone.
    """

    query: Int[Tensor, " B"]
    events: Events
    queries: Queries
    positives: Int[Tensor, "B P"]
    seen: Int[Tensor, "2 E"]
    truth: Float[Tensor, "B R"] | None = None


@dataclass
class Ranking:
    """What ranking found for Q queries: everything a metric may look at.

    ranks: of each positive, from 1; 0 where there is none. values: the worth of each positive (1 where the data has no
    grades). n_candidates: how many items were ranked. top_ids, top_scores: the head of the list, best first, -1 and
    -inf where it is shorter.
    """

    query: Int[Tensor, " Q"]
    ranks: Int[Tensor, "Q P"]
    values: Float[Tensor, "Q P"]
    n_candidates: Int[Tensor, " Q"]
    top_ids: Int[Tensor, "Q K"]
    top_scores: Float[Tensor, "Q K"]


@dataclass
class TrainingLog:
    """The training events of all users, flat: user u owns item[offsets[u]:offsets[u + 1]], oldest first."""

    offsets: Int[Tensor, " O"]
    item: Int[Tensor, " E"]
    n_items: int

    def counts(self) -> Int[Tensor, " N"]:
        """How often each catalogue item occurs in training."""
        return torch.bincount(self.item, minlength=self.n_items)
