"""Learning rates at the steps that matter, over every YAML of conf/scheduler."""

import math

import pytest
import torch

from experiments.config.instantiate import instantiate
from lightning_modules.schedulers import warmup_constant, warmup_cosine, warmup_linear
from tests.lightning_modules.composition import choices

SCHEDULERS = choices("scheduler")


def rates(scheduler, total, lr=1.0, **settings):
    """The rate at each of `total` steps, and after the last."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = scheduler(optimizer, total_steps=total, **settings)
    found = []
    for _ in range(total + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_every_choice_was_found():
    assert len(SCHEDULERS) >= 3


@pytest.mark.parametrize("total", [1, 2, 40])
@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_a_rate_is_a_share_of_the_groups_own_and_every_step_has_one(name, total):
    found = rates(instantiate(SCHEDULERS[name]), total, lr=0.5)
    assert all(0 < rate <= 0.5 for rate in found[:total])
    assert max(found) == 0.5


def test_rising_then_falling_linearly_by_hand():
    # 10 steps, of which 2 rise: 1/3, 2/3; then 8/8 down to 1/8, and 0 when all is done.
    found = rates(warmup_linear, 10, warmup=0.2)
    assert found == pytest.approx([1 / 3, 2 / 3, *(k / 8 for k in range(8, -1, -1))])


def test_half_a_cosine_by_hand():
    found = rates(warmup_cosine, 8, warmup=0.0)
    assert found == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)])
    assert (found[4], found[8]) == (pytest.approx(0.5), pytest.approx(0))


def test_a_constant_rate_by_hand():
    assert rates(warmup_constant, 4) == [1] * 5
    assert rates(warmup_constant, 4, warmup=0.5) == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])


@pytest.mark.parametrize("warmup", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(warmup):
    with pytest.raises(ValueError, match=r"it is a share of all steps, in \[0, 1\)"):
        rates(warmup_linear, 4, warmup=warmup)
