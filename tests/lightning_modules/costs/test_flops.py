"""Operations against counts by hand."""

import pytest
import torch
from torch import nn

from lightning_modules.costs.flops import FlopCounter

BATCH, INNER, OUTER = 3, 5, 7


def test_a_linear_layer_multiplies_three_times_where_all_of_it_trains():
    """By hand: forward 2 B I O; backward as much for the weight, and as much for what comes in."""
    layer, vectors = nn.Linear(INNER, OUTER), torch.randn(BATCH, INNER, requires_grad=True)
    with FlopCounter() as counter:
        layer(vectors).sum().backward()
    assert counter.flops == 3 * 2 * BATCH * INNER * OUTER


def test_what_is_frozen_costs_no_gradient_of_its_own():
    layer, vectors = nn.Linear(INNER, OUTER).requires_grad_(False), torch.randn(BATCH, INNER, requires_grad=True)
    with FlopCounter() as counter:
        layer(vectors).sum().backward()
    assert counter.flops == 2 * 2 * BATCH * INNER * OUTER


@pytest.mark.parametrize("trains", [False, True])
def test_attention_counts_its_two_products_and_their_five_in_the_backward_pass(trains):
    """By hand: q k' and its product with v, 2 B H S S D each; backwards q k' again, and two products for each of the
    two that were made."""
    batch, heads, length, size = 2, 3, 8, 16
    query, key, value = (torch.randn(batch, heads, length, size, requires_grad=trains) for _ in range(3))
    with FlopCounter() as counter:
        made = nn.functional.scaled_dot_product_attention(query, key, value)
        if trains:
            made.sum().backward()
    assert counter.flops == (7 if trains else 2) * 2 * batch * heads * length * length * size


def test_no_digit_moves():
    layer, vectors = nn.Linear(INNER, OUTER), torch.randn(BATCH, INNER)
    alone = layer(vectors)
    with FlopCounter():
        assert torch.equal(layer(vectors), alone)
