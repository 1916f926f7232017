"""How a Hugging Face model is entered and passed layer by layer, by texts that stand end to end."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from lightning_modules.parts.runs import Run
from lightning_modules.parts.virtual_tokens import prefix_of

UNBOUNDED = 10**9


@runtime_checkable
class Layout(Protocol):
    """The way through a model, with the result of its own forward.

    `words` looks tokens up; `enter` gives them their places, and whatever else lies before the first layer (virtual
    tokens may stand among them by then). `longest`: tokens of the longest text that it reads as the model's own forward
    does. `packs`: whether texts of unequal length go through a layer together; else each run of one length goes alone.
    """

    layers: list[nn.Module]
    longest: int
    packs: bool

    def words(self, tokens: Int[Tensor, " L"]) -> Float[Tensor, "L E"]: ...

    def enter(self, words: Float[Tensor, "L E"], runs: Sequence[Run]) -> Float[Tensor, "L D"]: ...

    def run(self, hidden: Float[Tensor, "L D"], runs: Sequence[Run], start: int, stop: int) -> Float[Tensor, "L D"]: ...


def through(
    layers: Sequence[nn.Module], hidden: Float[Tensor, "L D"], settings: Sequence[dict[str, Any]]
) -> Float[Tensor, "L D"]:
    """All tokens as one row; the layers are transformers' own, each called with its settings."""
    row = hidden[None]
    for layer, own in zip(layers, settings, strict=True):
        row = layer(row, attention_mask=None, **own)
        row = row[0] if isinstance(row, tuple) else row
    return row[0]


def settings_of(model: PreTrainedModel, runs: Sequence[Run], start: int, stop: int) -> list[dict[str, Any]]:
    """What every layer from start to stop has to know: where texts lie, and the keys and values put before them."""
    prefix = prefix_of(model)
    if prefix is None:
        return [{"runs": runs} for _ in range(start, stop)]
    return [{"runs": runs, "prefix": two} for two in prefix[start:stop]]
