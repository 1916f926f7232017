"""Row: the gradients of our step and of the competent loop's, on one batch, from the same weights, without dropout."""

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.loops import competent, ours
from benchmarks.loops.setting import STRATEGIES, Setting, batch, quiet
from benchmarks.measuring.row import Bench, Row, Side
from datamodules.types import Batch
from lightning_modules.interest_module import InterestModule

LIMIT = 1e-4
USERS, QUICK_USERS = 32, 4
SMALL = 1e-3
"""A tensor whose gradient is smaller than this share of the whole is compared with that share: the gradient of an
attention's key biases is zero but for rounding."""

Gradients = dict[str, Tensor]


def benches() -> dict[str, Bench]:
    """All strategies at once."""
    return {"gradients": Bench("gradients of ours and of the competent loop", partial(measure), minutes=4)}


def measure(quick: bool) -> list[Row]:
    """The largest difference of a tensor's gradient, for each strategy."""
    return [compare(Setting("ml100k", strategy, QUICK_USERS if quick else USERS)) for strategy in STRATEGIES]


def compare(setting: Setting) -> Row:
    """One strategy."""
    quiet()
    data, module = ours.made(setting)
    stir(module)
    asked = batch(data, 0)
    fast = of_ours(module.eval(), asked)
    plain_data, plain, _ = competent.made(setting)
    hand_over(module, plain)
    slow = of_competent(plain.eval(), batch(plain_data, 0))
    if fast.keys() != slow.keys():
        raise ValueError(f"different tensors train: {sorted(fast.keys() ^ slow.keys())[:6]}")
    found = differences(fast, slow)
    worst = max(found, key=lambda name: found[name])
    words = f"--corpus {setting.corpus} --strategy {setting.strategy} --users {setting.users}"
    sides = [Side(loop, f"python -m benchmarks.loops.{loop} {words}") for loop in ("ours", "competent")]
    what = f"ml-100k, {setting.strategy}: largest difference of {len(found)} gradients"
    detail = {"worst": worst, "tensors": len(found), "norm": float(norm(slow))}
    name = f"gradients_{setting.strategy}"
    return Row(name, what, "relative", sides, ratio=found[worst], goal=LIMIT, at_most=True, detail=detail)


def stir(module: InterestModule) -> None:
    """Noise on all that trains: what starts at zero would hide what it does."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))


def hand_over(module: InterestModule, plain: competent.Competent) -> None:
    """Our weights into the plain model."""
    given = pretrained(module).state_dict()
    with torch.no_grad():
        for name, parameter in plain.encoder.state().items():
            parameter.copy_(given[name])
    plain.dense.take_weights(module.model)


def of_ours(module: InterestModule, asked: Batch) -> Gradients:
    """Gradients by name, the language model's as it names them itself."""
    module.model.loss(asked, module.loss).backward()
    parts = (cast(nn.Module, part) for part in (module.model.interest, module.model.head))
    return named(pretrained(module), *parts)


def of_competent(plain: competent.Competent, asked: Batch) -> Gradients:
    """Gradients by the same names."""
    plain(asked).backward()
    inner = {name: p.grad for name, p in plain.encoder.state().items() if p.requires_grad}
    outer = named(nn.Module(), plain.dense.interest, plain.dense.head)
    return outer | {name: grad for name, grad in inner.items() if grad is not None}


def named(encoder: nn.Module, interest: nn.Module, head: nn.Module) -> Gradients:
    """Of everything that trains; a head's parameters go by the last part of their names."""
    found = {name: p.grad for name, p in encoder.named_parameters() if p.requires_grad}
    found |= {f"interest.{name}": p.grad for name, p in interest.named_parameters()}
    found |= {f"head.{name.rpartition('.')[2]}": p.grad for name, p in head.named_parameters()}
    return {name: grad for name, grad in found.items() if grad is not None}


def differences(fast: Gradients, slow: Gradients) -> dict[str, float]:
    """|fast - slow| of each tensor, relative to its own norm (see `SMALL`)."""
    least = SMALL * norm(slow)
    return {name: float((fast[name] - slow[name]).norm() / slow[name].norm().clamp(min=least)) for name in slow}


def norm(gradients: Gradients) -> Tensor:
    """Of all together."""
    return torch.stack([gradient.norm() for gradient in gradients.values()]).norm()


def pretrained(module: InterestModule) -> nn.Module:
    """The language model in ours."""
    found = module.model.encoder.backbone.pretrained
    assert found is not None
    return found
