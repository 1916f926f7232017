"""Where a network stands that changes a frozen model: behind a linear module, or beside a feed-forward block."""

import inspect
from collections.abc import Callable
from typing import NamedTuple, cast

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.pytorch_utils import Conv1D

from lightning_modules.parts.injection import MATRICES

PLACEMENTS: tuple[str, ...] = ("sequential", "parallel")

Change = Callable[[Float[Tensor, "*rest D"]], Float[Tensor, "*rest D"]]


class Place(NamedTuple):
    """width: of the vectors that the network reads and adds to. join: (module, change, the module's inputs) -> what
    takes the place of the module's output."""

    width: int
    join: Callable[..., Tensor]


def behind(module: nn.Module, change: Change, x: Float[Tensor, "*rest I"]) -> Float[Tensor, "*rest O"]:
    """y + change(y), of the module's output y."""
    y = module(x)
    return y + change(y)


def beside(module: nn.Module, change: Change, x: Float[Tensor, "*rest D"]) -> Float[Tensor, "*rest D"]:
    """The module's output, which is a block's change of its input, and `change` of the same input."""
    return module(x) + change(x)


def beside_with_residual(
    module: nn.Module, change: Change, inner: Float[Tensor, "*rest I"], x: Float[Tensor, "*rest D"]
) -> Float[Tensor, "*rest D"]:
    """The same where the module is only a block's second half, and itself adds the block's input x (and then
    normalises, as BERT's does): what it adds is changed."""
    return module(inner, x + change(x))


def place_of(placement: str, module: nn.Module, model: nn.Module) -> Place:
    """Sequential: behind a linear module. Parallel: beside a feed-forward block, by its own number of inputs. Raises
    ValueError where the module is none."""
    if placement == "sequential":
        return Place(_width(module), behind)
    inputs = 0 if isinstance(module, MATRICES) else len(inspect.signature(module.forward).parameters)
    if inputs not in (1, 2):
        raise ValueError(f"a parallel adapter stands beside a feed-forward block, which {type(module).__name__} is not")
    width = cast(PretrainedConfig, model.config).hidden_size
    return Place(width, beside if inputs == 1 else beside_with_residual)


def _width(module: nn.Module) -> int:
    if isinstance(module, Conv1D):
        return module.nf
    if isinstance(module, nn.Linear):
        return module.out_features
    raise ValueError(f"a sequential adapter stands behind a linear module, which {type(module).__name__} is not")
