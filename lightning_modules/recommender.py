"""The model as plain torch: encoder, interest and head in a row. Works in a notebook without any trainer."""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import embedding

from datamodules.types import Batch, Events, Items, Queries
from lightning_modules.chunked_loss import chunked_loss
from lightning_modules.parts.cut import Cut
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.full_precision import full_precision
from lightning_modules.types import Asked, Head, Interest, Loss

LEAST_CUT = 0.05
"""Share of item pairs below which a cut says next to nothing, and a warning says so."""


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
        self._warned: set[str] = set()

    def ask(self, vectors: Float[Tensor, "U D"], events: Events, queries: Queries) -> Asked:
        """The interests of each user at each query; slots of `events` point into `vectors`."""
        with full_precision(vectors.device):
            return Asked(self.interest(embedding(events.slot, vectors.float()), events, queries), queries.mask)

    def loss(self, batch: Batch, loss: Loss) -> Float[Tensor, ""]:
        """Mean loss of a batch's queries against its candidates. The scores never exist all at once."""
        vectors = self.encoder(batch.items)
        slots = batch.candidates.slot
        asked = self.ask(vectors, batch.events, batch.queries)
        with full_precision(vectors.device):
            # Slots ascend, so as many as there are vectors are all of them, and nothing is copied.
            whole = len(slots) == len(vectors)
            chosen, ids = (vectors, batch.items.ids) if whole else (vectors[slots], batch.items.ids[slots])
            pool = self.head.pool(chosen.float(), ids)
            return chunked_loss(self.head, loss, asked, pool, batch.candidates.log_q, batch.targets)

    @torch.no_grad()
    def calibrate(self, items: Items, n_items: int) -> Float[Tensor, "R D"]:
        """Take mean and cuts from the catalogue (the first n_items rows); returns the centred vectors of all rows.

        Warns, once for each seam, where a cut removes less than `LEAST_CUT` of the item pairs.
        """
        vectors = self.encoder.catalogue(items)
        self.encoder.centre(vectors[:n_items])
        centred = vectors - self.encoder.mean
        for seam, cut in self._placed_cuts():
            cut.calibrate(centred[:n_items])
            self._warn_of_no_bite(seam, cut)
        return centred

    def cuts(self) -> list[Cut]:
        """The thresholds in use, the interest's before the head's."""
        return [cut for _, cut in self._placed_cuts()]

    def bite(self) -> dict[str, Tensor]:
        """`cut_share`: of all item pairs, those whose similarity the head's cut makes zero. `edge_density`: those that
        are alike enough for an edge of the interest graph."""
        share = {seam: cut.share for seam, cut in self._placed_cuts()}
        found = {"cut_share": share["head"]} if "head" in share else {}
        return found | ({"edge_density": 1 - share["interest"]} if "interest" in share else {})

    def _placed_cuts(self) -> list[tuple[str, Cut]]:
        return [(name.partition(".")[0], part) for name, part in self.named_modules() if isinstance(part, Cut)]

    def _warn_of_no_bite(self, seam: str, cut: Cut) -> None:
        if cut.share < LEAST_CUT and seam not in self._warned:
            self._warned.add(seam)
            warnings.warn(
                f"the cut of the {seam} (tau = {float(cut.tau):.3g}) removes {float(cut.share):.1%} of item pairs, "
                f"less than {LEAST_CUT:.0%}: the graph is nearly complete, and its sum collapses to one vector. Raise "
                f"{seam}.tau, or give a quantile, such as {seam}.tau=q0.5",
                UserWarning,
                stacklevel=2,
            )
