"""Interest graph, head and loss as plain dense torch: every user padded, every score kept.

The same mathematics as `interest=graph head=graph loss=softmax`, and parameters of the same names, so that weights can
be handed over and gradients compared.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from datamodules.types import Batch, Events, Queries

DAY = 86_400.0


class DenseInterest(nn.Module):
    """Weights (B, T, H) over the nodes (B, H, D) of causal cosine edges."""

    def __init__(self, dim: int, n_behaviours: int, has_times: bool, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.gates = nn.Parameter(torch.zeros(1))
        self.query, self.key = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.step_decay = nn.Parameter(torch.tensor(0.5))
        self.day_decay = nn.Parameter(torch.tensor(0.0)) if has_times else None
        self.behaviour = nn.Parameter(torch.zeros(n_behaviours))
        self.strength, self.degree = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, vectors: Tensor, events: Events, queries: Queries) -> tuple[Tensor, Tensor]:
        vectors = self.dropout(vectors)
        unit = normalize(vectors, dim=-1)
        pairs = events.mask[:, :, None] & events.mask[:, None, :]
        edges = (torch.relu(unit @ unit.transpose(1, 2)) * pairs).tril(-1)
        nodes = vectors + self.gates[0] * ((edges / edges.sum(-1, keepdim=True).clamp(min=1e-6)) @ vectors)
        logits = _at(self.query(nodes), queries) @ self.key(nodes).transpose(1, 2) / math.sqrt(vectors.shape[-1])
        logits = logits + self._ages(events, queries)
        logits = logits + (self.behaviour[events.behaviour] + self.strength * events.strength)[:, None, :]
        logits = logits + self.degree * torch.log1p(edges.sum(-1)[:, None, :] + _at(edges.cumsum(1), queries))
        step = torch.arange(events.slot.shape[1], device=vectors.device)
        visible = (step <= queries.position[..., None]) & events.mask[:, None, :]
        visible |= (step == 0) & ~queries.mask[..., None]
        return nodes, logits.masked_fill(~visible, -torch.inf).softmax(-1)

    def _ages(self, events: Events, queries: Queries) -> Tensor:
        step = torch.arange(events.slot.shape[1], device=events.slot.device)
        ages = -self.step_decay * torch.log1p((queries.position[..., None] - step).clamp(min=0).float())
        if self.day_decay is None or events.time is None or queries.time is None:
            return ages
        days = (queries.time[..., None] - events.time[:, None, :]).clamp(min=0) / DAY
        return ages - self.day_decay * torch.log1p(days.float())


class DenseHead(nn.Module):
    """(B, T, C) scores: weights times cut cosines, divided by a temperature, plus a prior for each item."""

    def __init__(self, n_items: int = 0, tau: float = 0.0, temperature: float = 0.07) -> None:
        super().__init__()
        self.tau = tau
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.bias = nn.Parameter(torch.zeros(n_items)) if n_items else None

    def forward(self, nodes: Tensor, weights: Tensor, candidates: Tensor, ids: Tensor) -> Tensor:
        cosine = normalize(nodes, dim=-1) @ normalize(candidates, dim=-1).T
        scores = weights @ torch.relu(cosine - self.tau) * self.log_scale.exp()
        return scores if self.bias is None else scores + self.bias[ids]


class DenseRecommender(nn.Module):
    """Vectors of a batch's distinct items -> loss. The centre is the catalogue's mean, taken once."""

    def __init__(self, interest: DenseInterest, head: DenseHead, dim: int) -> None:
        super().__init__()
        self.interest, self.head = interest, head
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(dim))

    def forward(self, vectors: Tensor, batch: Batch) -> Tensor:
        centred = vectors - self.mean
        slots = batch.candidates.slot
        nodes, weights = self.interest(centred[batch.events.slot], batch.events, batch.queries)
        scores = self.head(nodes, weights, centred[slots], batch.items.ids[slots])
        logits = scores[batch.queries.mask] - batch.candidates.log_q
        return cross_entropy(logits, batch.targets.column)

    def take_weights(self, model: nn.Module) -> None:
        """The parameters of one of our recommenders."""
        given: dict[str, Any] = model.state_dict()
        own = {"mean": given["encoder.mean"], "head.log_scale": given["head.temperature.log_scale"]}
        if self.head.bias is not None:
            own["head.bias"] = given["head.item_prior.bias"]
        own |= {f"interest.{name}": given[f"interest.{name}"] for name, _ in self.interest.named_parameters()}
        self.load_state_dict(own)


def _at(rows: Tensor, queries: Queries) -> Tensor:
    """The rows (B, H, X) at the positions that are asked, (B, T, X)."""
    return rows.gather(1, queries.position[..., None].expand(-1, -1, rows.shape[-1]))
