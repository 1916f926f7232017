"""The model as plain torch: encoder, interest and head in a row. Works in a notebook without any trainer."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from datamodules.types import Batch, Events, Items, Queries
from lightning_modules.parts.cut import Cut
from lightning_modules.parts.encoder import Encoder
from lightning_modules.types import Asked, Head, Interest, ScoreBlock

CANDIDATES_AT_ONCE = 65_536


class Recommender(nn.Module):
    """items -> vectors -> interests -> scores.

    Centring and cuts are taken from the catalogue by `calibrate`, in eval mode, at the start of training and with each
    validation, and stay fixed in between.
    """

    encoder: Encoder
    interest: Interest
    head: Head

    def __init__(self, encoder: Encoder, interest: Interest, head: Head) -> None:
        super().__init__()
        self.encoder, self.interest, self.head = encoder, interest, head

    def ask(self, vectors: Float[Tensor, "U D"], events: Events, queries: Queries) -> Asked:
        """The interests of each user at each query; slots of `events` point into `vectors`."""
        return Asked(self.interest(vectors[events.slot], events, queries), queries.mask)

    def score_blocks(self, batch: Batch) -> Iterator[ScoreBlock]:
        """Scores of a batch's queries against its candidates, block after block."""
        vectors = self.encoder(batch.items)
        asked = self.ask(vectors, batch.events, batch.queries)
        slots, log_q = batch.candidates.slot, batch.candidates.log_q
        for start in range(0, len(slots), CANDIDATES_AT_ONCE):
            part = slice(start, start + CANDIDATES_AT_ONCE)
            scores = self.head.scores(asked, vectors[slots[part]], batch.items.ids[slots[part]])
            yield ScoreBlock(start, scores, log_q[part])

    @torch.no_grad()
    def calibrate(self, items: Items, n_items: int) -> Float[Tensor, "R D"]:
        """Take mean and cuts from the catalogue (the first n_items rows); returns the centred vectors of all rows."""
        vectors = self.encoder.catalogue(items)
        self.encoder.centre(vectors[:n_items])
        centred = vectors - self.encoder.mean
        for cut in self.cuts():
            cut.calibrate(centred[:n_items])
        return centred

    def cuts(self) -> list[Cut]:
        """The thresholds in use."""
        return [part for part in self.modules() if isinstance(part, Cut)]
