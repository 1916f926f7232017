"""The loss of a step whose scores never exist all at once.

A user's scores depend on no other user, and a loss is a sum over queries. So a few users at a time are scored against
all candidates, small enough for the processor's cache, and the gradient of their part of the sum is taken at once:
nothing is kept for the backward pass and nothing computed twice. What is kept is the gradient of the inputs, which are
far smaller than the scores (Q, C).

The idea is that of fused linear cross-entropy (Hsu et al. 2024, "Liger Kernel", section 3.2: logits by chunks,
gradients in the forward pass). Departures: chunks of users and not of tokens, because a user's queries share interest
nodes; any head and any loss, since PyTorch differentiates each chunk.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from datamodules.types import Targets
from lightning_modules.types import Asked, Head, Interests, Loss, Pool

SCORES_AT_ONCE = 1 << 20
"""Similarities, or scores where there are more of those, in a chunk: 4 MiB. One user is never divided."""

OWN, PARAMETERS = 2, 4
"""Inputs of a step: nodes and weights are the users' own, then the pool's vectors and prior, then parameters."""


@dataclass(frozen=True)
class Chunk:
    """Users of equally many moments and nodes; `queries` are the numbers of their queries among the Q."""

    users: Int[Tensor, " B2"]
    queries: Int[Tensor, " Q2"]
    moments: int
    nodes: int


def chunked_loss(
    head: Head, loss: Loss, asked: Asked, pool: Pool, log_q: Float[Tensor, " C"], targets: Targets
) -> Float[Tensor, ""]:
    """The loss's sum over all queries, divided by its weight; equal to one call on all scores, up to rounding."""
    inputs = [asked.interests.nodes, asked.interests.weights, pool.vectors, pool.prior + loss.addend(log_q)]
    inputs += nn.ModuleList([cast(nn.Module, head), cast(nn.Module, loss)]).parameters()  # each once, shared or not
    return cast(Tensor, _Chunked.apply(_Step(head, loss, asked, targets), *inputs)) / loss.weight(targets)


def chunks(asked: Asked, n_candidates: int, at_once: int) -> list[Chunk]:
    """All users that are asked something, by shape, in chunks of at most `at_once` scores (one user at least)."""
    counts = asked.mask.sum(1)
    first = (counts.cumsum(0) - counts).tolist()
    shapes = zip(_used(asked.mask), _used((asked.interests.weights != 0).any(1)), counts.tolist(), strict=True)
    order = sorted((shape, user) for user, shape in enumerate(shapes) if shape[-1])
    made = []
    for (moments, nodes, count), members in groupby(order, key=lambda entry: entry[0]):
        users = [user for _, user in members]
        width = max(1, at_once // (max(moments, nodes, 1) * n_candidates))
        for part in (users[i : i + width] for i in range(0, len(users), width)):
            queries = [query for user in part for query in range(first[user], first[user] + count)]
            device = asked.mask.device
            made.append(Chunk(torch.tensor(part, device=device), torch.tensor(queries, device=device), moments, nodes))
    return made


def _used(mask: Tensor) -> list[int]:
    """One more than the last True column of each row; what lies behind is padding."""
    return torch.where(mask, torch.arange(1, mask.shape[1] + 1, device=mask.device), 0).amax(1).tolist()


@dataclass(frozen=True)
class _Step:
    """What every chunk of a step looks at."""

    head: Head
    loss: Loss
    asked: Asked
    targets: Targets

    def part(self, chunk: Chunk, nodes: Tensor, weights: Tensor, pool: Pool) -> Tensor:
        """The loss of one chunk's queries."""
        owner = self.asked.interests.owner[chunk.users, : chunk.nodes]
        asked = Asked(Interests(nodes, weights, owner), self.asked.mask[chunk.users, : chunk.moments])
        answers = Targets(self.targets.column[chunk.queries], self.targets.value[chunk.queries])
        return self.loss(self.head.scores(asked, pool), answers)


class _Chunked(torch.autograd.Function):
    """The sum of the chunks' losses; the gradients of all inputs are made on the way there.

    Inputs: nodes, weights, the pool's vectors and prior, then parameters that head and loss use.
    """

    @staticmethod
    def forward(ctx: Any, step: _Step, *inputs: Tensor) -> Tensor:
        needed = [number for number in range(len(inputs)) if ctx.needs_input_grad[1 + number]]
        gradients: list[Tensor | None] = [None] * len(inputs)
        shared = [_leaf(tensor, number + OWN in needed) for number, tensor in enumerate(inputs[OWN:PARAMETERS])]
        total = inputs[0].new_zeros(())
        for chunk in chunks(step.asked, len(inputs[OWN]), SCORES_AT_ONCE):
            nodes, weights = (_leaf(_cut_out(chunk, n, inputs[n]), n in needed) for n in range(OWN))
            with torch.enable_grad():
                part = step.part(chunk, nodes, weights, Pool(*shared))
            total += part.detach()
            tensors = [nodes, weights, *shared, *inputs[PARAMETERS:]]
            found = torch.autograd.grad(part, [tensors[n] for n in needed], allow_unused=True) if needed else ()
            for number, gradient in zip(needed, found, strict=True):
                gradients[number] = _gathered(gradients[number], gradient, chunk, number, inputs[number])
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, *(None if kept is None else gradient * kept for kept in ctx.saved_tensors)


def _leaf(tensor: Tensor, needed: bool) -> Tensor:
    return tensor.detach().requires_grad_(needed)


def _cut_out(chunk: Chunk, number: int, tensor: Tensor) -> Tensor:
    """The chunk's own nodes (input 0) or weights (input 1), without padding."""
    return tensor[chunk.users, : chunk.nodes] if number == 0 else tensor[chunk.users, : chunk.moments, : chunk.nodes]


def _gathered(so_far: Tensor | None, found: Tensor | None, chunk: Chunk, number: int, whole: Tensor) -> Tensor | None:
    """A user belongs to one chunk, so gradients of users' own inputs find their place; those of shared inputs add
    up."""
    if found is None:
        return so_far
    if number >= OWN:
        return found.clone() if so_far is None else so_far.add_(found)  # autograd may give two inputs one gradient
    so_far = torch.zeros_like(whole) if so_far is None else so_far
    if number == 0:
        so_far[chunk.users, : chunk.nodes] = found
    else:
        so_far[chunk.users, : chunk.moments, : chunk.nodes] = found
    return so_far
