"""A training step that does not fit into memory is made again in smaller chunks.

The step stays the same: its batch, its effective batch, the random state that it begins with, and the gradients of
earlier micro-batches. First the activations of each chunk are computed again in the backward pass instead of kept,
which changes no digit. Then the chunks are halved: rounding moves, and dropout's masks, drawn chunk by chunk, fall on
other texts. The step is then the one that smaller chunks would have made from the start.
"""

import gc
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.sharing import least, place

LEAST_TOKENS = 128
"""Chunks are not halved below this: what fills the memory then is something else."""


class MemoryRetry:
    """The forward and the backward pass of a step, made again after a `torch.OutOfMemoryError` with a smaller
    `encoder.tokens_per_chunk`, which then stays; each time a UserWarning says so.

    Raises `torch.OutOfMemoryError`, naming the settings that help, where smaller chunks cannot, and after a failed
    backward pass of several processes: the others have already added up their gradients with it.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._compute: Callable[[], Tensor] | None = None
        self._loss: Tensor | None = None
        self._stand_in: Tensor | None = None
        self._drawn: dict[torch.device, Tensor] = {}

    def forward(self, compute: Callable[[], Tensor]) -> Float[Tensor, ""]:
        """The loss that `compute` returns, to be handed to `backward`.

        A process that is alone gets a stand-in of the same value: whoever holds it does not hold the graph, which can
        be given up before the next attempt.
        """
        self._compute, self._drawn = compute, _random_state(self.encoder.mean.device)
        loss = self._attempt(compute)
        if place()[1] > 1:
            return loss
        self._loss, self._stand_in = loss, loss.detach().requires_grad_()
        return self._stand_in

    def backward(
        self,
        given: Callable[[], None],
        parameters: Iterable[nn.Parameter],
        context: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        """Add the gradients of the step to those of `parameters`.

        Those of earlier micro-batches are set aside meanwhile, since a backward pass that fails halfway cannot be taken
        off them to the last digit. Where batches are accumulated this costs the memory of one more set of gradients.

        given: the backward pass of what the trainer made of the stand-in; so its gradient is the factor on the loss
        (the share of an accumulated batch, the scale of half precision). context: what the forward pass ran in.
        """
        if self._stand_in is None or self._compute is None:
            self._of_several(given)
            return
        given()
        parameters = list(parameters)
        earlier = _taken(parameters)
        while not self._went_through(self._stand_in.grad):
            _taken(parameters)  # half a step's gradients
            self._shrink()
            with context():
                self._loss = self._attempt(self._compute)
        for parameter, gradient in earlier:
            parameter.grad = gradient if parameter.grad is None else gradient.add_(parameter.grad)
        self._compute = self._stand_in = None

    def state_dict(self) -> dict[str, Any]:
        """The chunks in use: a resumed run must not begin with the larger ones, which draw other dropout masks.

        Of several processes, all of which have to call it, the smallest: a checkpoint has room for one answer, and what
        fits into one card's memory may not fit into another's. Those that had larger chunks draw other masks from there
        on.
        """
        encoder = self.encoder
        ours = torch.tensor([encoder.tokens_per_chunk, not encoder.recompute], device=encoder.mean.device)
        tokens, kept = least(ours).tolist()
        return {"tokens_per_chunk": tokens, "recompute": not kept}

    def shrunk(self) -> dict[str, Any]:
        """The chunks that were left where memory ran out; nothing where it never did."""
        chunks = self.state_dict()
        return chunks if chunks["recompute"] else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the chunks of a checkpoint; one that knows of none changes nothing."""
        self.encoder.tokens_per_chunk = state.get("tokens_per_chunk", self.encoder.tokens_per_chunk)
        self.encoder.recompute = state.get("recompute", self.encoder.recompute)

    def _attempt(self, compute: Callable[[], Tensor]) -> Tensor:
        while True:
            try:
                return compute()
            except torch.OutOfMemoryError as error:
                self._require_room(error)
            self._shrink()  # behind the handler: the error's frames hold what the attempt had made

    def _went_through(self, factor: Tensor | None) -> bool:
        assert self._loss is not None
        loss, self._loss = self._loss, None  # the only holder of the graph; gone when this returns
        try:
            loss.backward(factor)
        except torch.OutOfMemoryError as error:
            self._require_room(error)
            return False
        return True

    def _of_several(self, given: Callable[[], None]) -> None:
        try:
            given()
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(
                "memory ran out in the backward pass of a distributed run, which cannot be made again by one process "
                f"alone: lower tokens_per_chunk (now {self.encoder.tokens_per_chunk}) or datamodule.users_per_step"
            ) from error

    def _require_room(self, error: torch.OutOfMemoryError) -> None:
        """Raise where smaller chunks cannot help."""
        if self.encoder.backbone.depth == 0 or self.encoder.features_reusable:
            tried = "memory ran out, and a step of this model encodes no text, so smaller chunks of texts cannot help"
        elif self.encoder.recompute and self.encoder.tokens_per_chunk <= LEAST_TOKENS:
            tried = f"memory ran out, even with texts encoded in chunks of {self.encoder.tokens_per_chunk} tokens"
        else:
            return
        raise torch.OutOfMemoryError(
            f"{tried}: lower datamodule.users_per_step (and raise trainer.accumulate_grad_batches as much, for the "
            "same effective batch), objective.history_length, the number of candidates or text.max_tokens"
        ) from error

    def _shrink(self) -> None:
        encoder = self.encoder
        if encoder.recompute:
            encoder.tokens_per_chunk = max(LEAST_TOKENS, encoder.tokens_per_chunk // 2)
        encoder.recompute = True
        gc.collect()
        _draw_again(self._drawn)
        warnings.warn(
            f"memory ran out; from now on texts are encoded in chunks of {encoder.tokens_per_chunk} tokens, whose "
            "activations are computed again in the backward pass. A smaller tokens_per_chunk spares the attempt",
            UserWarning,
            stacklevel=2,
        )


def _random_state(device: torch.device) -> dict[torch.device, Tensor]:
    """What dropout draws from next."""
    states = {torch.device("cpu"): torch.get_rng_state()}
    return states if device.type == "cpu" else states | {device: torch.get_device_module(device).get_rng_state(device)}


def _draw_again(states: dict[torch.device, Tensor]) -> None:
    for device, state in states.items():
        if device.type == "cpu":
            torch.set_rng_state(state)
        else:
            torch.get_device_module(device).set_rng_state(state, device)


def _taken(parameters: list[nn.Parameter]) -> list[tuple[nn.Parameter, Tensor]]:
    """The gradients there are; the parameters have none afterwards."""
    found = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    for parameter, _ in found:
        parameter.grad = None
    return found
