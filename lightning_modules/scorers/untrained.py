"""Rank by what a pretrained language model says of the texts, without any training: where label efficiency begins.

    score(c|u) = sum_i w_i * max(cos(v_i - m, c - m) - tau, 0),   w_i ~ 2^(-age_i / half_life),   sum_i w_i = 1

v_i are the vectors of the user's history, m the mean of the catalogue's. It is the interest graph (`heads.graph`) with
weights that nobody learned: mean and cut are taken from the items' texts, which are no labels.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import embedding, normalize

from datamodules.types import Items, QueryBlock, TrainingLog
from lightning_modules.parts.cut import Cut
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.full_precision import full_precision


class UntrainedScorer:
    """Code supplies the model, as it was pretrained, and how many of the rows given to `prepare` are candidates.

    half_life: in events; the age of an event is the number of events after it, 0 for the latest, and an event that is
    half_life older weighs half as much. Above 0; infinity (`.inf` in YAML) weighs all alike. tau: the cut, a number in
    [-1, 1) or a quantile such as q0.5 (`parts.cut`); -1 cuts nothing, which ranks by the plain weighted cosine.

    Raises `ValueError` for values out of range, and for a model with parameters that await training, since these are
    random; `scores` raises `RuntimeError` before `prepare`.
    """

    def __init__(self, model: Encoder, n_items: int, half_life: float = 5.0, tau: float | str = 0.0) -> None:
        if math.isnan(half_life) or half_life <= 0:
            raise ValueError(f"half_life is {half_life} events; it lies above 0, and .inf weighs all events alike")
        _require_nothing_random(model)
        self.model, self.n_items, self.half_life, self.cut = model, n_items, float(half_life), Cut(tau)
        self._unit: Tensor | None = None

    def fit(self, train: TrainingLog, items: Items) -> None:
        """Nothing is learned."""

    @torch.no_grad()
    def prepare(self, items: Items) -> None:
        """Encode all rows, centre them by the catalogue's mean, and place the cut where it is a quantile."""
        vectors = self.model.catalogue(items)
        self.model.centre(vectors[: self.n_items])
        centred = vectors - self.model.mean
        self.cut.calibrate(centred[: self.n_items])
        self._unit = normalize(centred, dim=-1)

    @torch.no_grad()
    def scores(self, block: QueryBlock, start: int, stop: int) -> Float[Tensor, "B C"]:
        """Scores of catalogue ids start .. stop."""
        if self._unit is None:
            raise RuntimeError("UntrainedScorer has read no item yet: call prepare with the catalogue first")
        unit = self._unit = self._unit.to(block.query.device)
        self.cut.to(unit.device)
        with full_precision(unit.device):
            alike = self.cut(embedding(block.events.slot, unit) @ unit[start:stop].T)
            return (self.weights(block)[:, None] @ alike)[:, 0]

    def weights(self, block: QueryBlock) -> Float[Tensor, "B H"]:
        """By recency, summing to one; zero where there is no event, and behind the event at which a query is asked."""
        mask = block.events.mask
        age = block.queries.position - torch.arange(mask.shape[1], device=mask.device)
        raw = torch.exp2(-age.clamp(min=0) / self.half_life) * (mask & (age >= 0))
        return raw / raw.sum(1, keepdim=True)


def _require_nothing_random(model: Encoder) -> None:
    waiting = [one.name for one in model.trainable()]
    if waiting:
        raise ValueError(
            f"UntrainedScorer trains nothing, and {len(waiting)} parameters of the backbone are random until they are "
            f"trained, such as {waiting[0]}: choose a language model alone, with dim=null and no "
            "pooling=attention"
        )
