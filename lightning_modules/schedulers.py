"""Learning-rate schedules over all optimizer steps of a run, as factors on each group's own rate."""

import math
from collections.abc import Callable, Iterable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup: float = 0.05) -> LambdaLR:
    """Rise linearly over the first `warmup` share of the steps, fall to 0 by half a cosine (Loshchilov & Hutter
    2017)."""
    return _scheduled(optimizer, total_steps, warmup, lambda left: 0.5 * (1 + math.cos(math.pi * (1 - left))))


def warmup_linear(optimizer: Optimizer, total_steps: int, warmup: float = 0.05) -> LambdaLR:
    """Rise linearly over the first `warmup` share of the steps, fall linearly to 0 (BERT, Devlin et al. 2019)."""
    return _scheduled(optimizer, total_steps, warmup, lambda left: left)


def warmup_constant(optimizer: Optimizer, total_steps: int, warmup: float = 0.0) -> LambdaLR:
    """Rise linearly over the first `warmup` share of the steps, then stay."""
    return _scheduled(optimizer, total_steps, warmup, lambda left: 1.0)


def held_back(schedule: LRScheduler, total_steps: int) -> LRScheduler:
    """The same schedule, with the rate of a group at 0 for the share of all steps that its `starts` names. What such a
    group holds then stays bit for bit: AdamW's decay is a share of the rate. Raises ValueError where
    the schedule is no function of the step."""
    groups = schedule.optimizer.param_groups
    late = [index for index, group in enumerate(groups) if group.get("starts", 0.0) > 0.0]
    if not late:
        return schedule
    if not isinstance(schedule, LambdaLR):
        raise ValueError(f"what begins to train later needs a schedule by step, and {type(schedule).__name__} is none")
    for index in late:
        schedule.lr_lambdas[index] = _zero_before(groups[index]["starts"] * total_steps, schedule.lr_lambdas[index])
        groups[index]["lr"] = 0.0
    return schedule


def forget_what_waits(optimizers: Iterable[Optimizer]) -> None:
    """Take the gradients away from groups that `held_back` holds: they would count in the norm that is clipped, and
    fill Adam's averages with a time at which the group did not move."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        if group.get("starts", 0.0) > 0.0 and group["lr"] == 0.0:
            for parameter in group["params"]:
                parameter.grad = None


def _zero_before(start: float, factor: Callable[[int], float]) -> Callable[[int], float]:
    return lambda step: factor(step) if step >= start else 0.0


def _scheduled(optimizer: Optimizer, total_steps: int, warmup: float, after: Callable[[float], float]) -> LambdaLR:
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup is {warmup}; it is a share of all steps, in [0, 1)")
    rising = int(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return after(max(total_steps - step, 0) / max(total_steps - rising, 1))

    return LambdaLR(optimizer, factor)
