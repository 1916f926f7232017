"""A trained recommender, served to evaluation as any other scorer."""

import torch
from jaxtyping import Float
from torch import Tensor

from datamodules.types import Items, QueryBlock, TrainingLog
from lightning_modules.parts.full_precision import full_precision
from lightning_modules.recommender import Recommender
from lightning_modules.types import Asked, Pool


class TrainedScorer:
    """Encodes the catalogue once per pass and ranks from the vectors. `fit` does nothing: training is the trainer's.

    n_items: how many of the rows given to `prepare` are candidates.
    """

    def __init__(self, model: Recommender, n_items: int) -> None:
        self.model, self.n_items = model, n_items
        self._vectors: Tensor | None = None
        self._pool: Pool | None = None
        self._asked: tuple[QueryBlock, Asked] | None = None

    @property
    def vectors(self) -> Float[Tensor, "R D"]:
        """Centred vectors of all rows given to `prepare`; raises `RuntimeError` before it."""
        if self._vectors is None:
            raise RuntimeError("vectors were asked before prepare() gave the catalogue")
        return self._vectors

    @property
    def pool(self) -> Pool:
        """The candidates as the head wants them; raises `RuntimeError` before `prepare`."""
        if self._pool is None:
            raise RuntimeError("candidates were asked before prepare() gave the catalogue")
        return self._pool

    def fit(self, train: TrainingLog, items: Items) -> None:
        """The model arrives trained."""

    @torch.no_grad()
    def prepare(self, items: Items) -> None:
        """Encode all rows; centre and cuts are taken anew from the catalogue. The model is left in eval mode: outside
        of a trainer nobody else switches its dropout off."""
        self.model.eval()
        self._vectors = self.model.calibrate(items, self.n_items)
        ids = torch.arange(self.n_items, device=self._vectors.device)
        self._pool = self.model.head.pool(self._vectors[: self.n_items], ids)
        self._asked = None

    @torch.no_grad()
    def follow(self) -> None:
        """Bring what `prepare` made to where the model is now, for asking after a trainer's end, which takes the model
        from the GPU and back to training mode."""
        self.model.eval()
        device = next(self.model.parameters()).device
        self._vectors, self._asked = self.vectors.to(device), None
        self._pool = self.model.head.pool(self._vectors[: self.n_items], torch.arange(self.n_items, device=device))

    @torch.no_grad()
    def scores(self, block: QueryBlock, start: int, stop: int) -> Float[Tensor, "B C"]:
        """Scores of catalogue ids start .. stop; the block's interests are computed once and kept for its next call."""
        pool = self.pool.block(start, stop)
        if self._asked is None or self._asked[0] is not block:
            self._asked = (block, self.model.ask(self.vectors, block.events, block.queries))
        with full_precision(self.vectors.device):
            return self.model.head.scores(self._asked[1], pool)
