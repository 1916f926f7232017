"""A GPU that is none: tensors said to lie on it lie on the CPU, and what mixes both raises as PyTorch would.

It sees what Python asks of PyTorch, and so whether a loop forgot to move something; kernels, precision and memory it
knows nothing of.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, _pop_mode_temporarily
from torch.utils._pytree import tree_leaves, tree_map
from transformers import AutoModel

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
INDEXED = {Tensor.__getitem__, Tensor.__setitem__, Tensor.index_put_}
"""An array on the GPU may be asked by numbers on the host."""
CALLED: dict[str, Callable[..., Any]] = {
    "synchronize": lambda: None,
    "reset_peak_memory_stats": lambda: None,
    "empty_cache": lambda: None,
    "memory_allocated": lambda: 0,
    "max_memory_allocated": lambda: 2**20,
    "get_rng_state": lambda device: torch.get_rng_state(),
    "set_rng_state": lambda state, device: torch.set_rng_state(state),
}
"""What is asked of `torch.cuda`."""


class PretendedGpu(TorchFunctionMode):
    """Marks tensors that lie on it; what is made of a marked one is marked."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        special = SPECIAL.get(func)
        if special is not None:
            return special(func, args, kwargs)
        asked = kwargs.get("device")
        if asked is not None and torch.device(asked) == CUDA:
            kwargs["device"] = CPU
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        _refuse_mixture(func, args, given)
        found = func(*args, **kwargs)
        there = any(map(lies_there, given)) if asked is None else torch.device(asked) == CUDA
        return _marked(found, there)


def lies_there(tensor: Tensor) -> bool:
    """Whether it is said to lie on the GPU."""
    return getattr(tensor, "_there", False)


def _marked(found: Any, there: bool) -> Any:
    def mark(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            leaf._there = there
        return leaf

    return tree_map(mark, found)


def _refuse_mixture(func: Any, args: Any, given: list[Tensor]) -> None:
    arrays = given
    if func in INDEXED and isinstance(args[0], Tensor) and lies_there(args[0]):
        arrays = [args[0], *([args[2]] if len(args) > 2 and isinstance(args[2], Tensor) else [])]
    if len({lies_there(tensor) for tensor in arrays if tensor.dim()}) > 1:
        raise RuntimeError(f"{getattr(func, '__name__', func)}: expected all tensors to be on the same device")


def _device(func: Any, args: Any, kwargs: Any) -> torch.device:
    return CUDA if lies_there(args[0]) else CPU


def _to(func: Any, args: Any, kwargs: Any) -> Tensor:
    tensor, other = args[0], [*args[1:], *kwargs.values()]
    target = next((torch.device(x) for x in other if isinstance(x, torch.device | str)), None)
    like = next((x for x in other if isinstance(x, Tensor)), None)
    dtype = next((x for x in other if isinstance(x, torch.dtype)), tensor.dtype if like is None else like.dtype)
    there = lies_there(tensor if like is None else like) if target is None else target.type == "cuda"
    if target is not None and target.type not in ("cuda", "cpu"):
        return func(*args, **kwargs)
    made = func(tensor, dtype)
    return _marked(made.clone() if made is tensor and there != lies_there(tensor) else made, there)


def _cpu(func: Any, args: Any, kwargs: Any) -> Tensor:
    return _marked(args[0].clone(), False) if lies_there(args[0]) else args[0]


def _numpy(func: Any, args: Any, kwargs: Any) -> Any:
    if lies_there(args[0]):
        raise TypeError("can't convert a tensor of the GPU to numpy")
    return func(*args, **kwargs)


def _set_data(func: Any, args: Any, kwargs: Any) -> None:
    func(*args, **kwargs)
    args[0]._there = lies_there(args[1])


def _of_its_owner(func: Any, args: Any, kwargs: Any) -> Any:
    return _marked(func(*args, **kwargs), lies_there(args[0]))


def _whatever(func: Any, args: Any, kwargs: Any) -> Any:
    return func(*args, **kwargs)


SPECIAL: dict[Any, Callable[..., Any]] = {
    Tensor.device.__get__: _device,
    Tensor.to: _to,
    Tensor.cpu: _cpu,
    Tensor.numpy: _numpy,
    Tensor.__array__: _numpy,
    Tensor.data.__set__: _set_data,
    Tensor.data.__get__: _of_its_owner,
    Tensor.grad.__get__: _of_its_owner,
    Tensor.grad.__set__: _whatever,
    Tensor.copy_: _of_its_owner,
    Tensor.backward: _whatever,
    torch._has_compatible_shallow_copy_type: _whatever,
}


@contextmanager
def pretended_gpu(monkeypatch: Any) -> Iterator[None]:
    """A device "cuda" for a while."""
    grad = torch.autograd.grad

    def marked_gradients(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        found = grad(outputs, inputs, *args, **kwargs)
        return tuple(_marked(gradient, lies_there(tensor)) for gradient, tensor in zip(found, inputs, strict=True))

    load = AutoModel.from_pretrained

    def loaded(*args: Any, **kwargs: Any) -> Any:
        with _pop_mode_temporarily():  # transformers first makes a model of shapes alone
            return load(*args, **kwargs)

    monkeypatch.setattr(AutoModel, "from_pretrained", loaded)
    monkeypatch.setattr(torch.autograd, "grad", marked_gradients)
    for name, called in CALLED.items():
        monkeypatch.setattr(torch.cuda, name, called)
    with PretendedGpu():
        yield
