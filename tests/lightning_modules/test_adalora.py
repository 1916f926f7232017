"""AdaLoRA: the budget falls to its target, the regulariser is the formula, and an interruption changes no bit."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.types import Items
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.strategies.adalora import AdaloraStrategy
from lightning_modules.types import Memory

TOTAL = 10
MATRICES = 4  # query and value of two layers


def build(folder: Path, seed: int = 0, **settings: Any) -> Encoder:
    torch.manual_seed(seed)
    strategy = AdaloraStrategy(**{"r": 2, "initial_r": 4, "warmup": 0.2, "final": 0.3} | settings)
    return Encoder(LanguageModelBackbone(str(folder)), strategy).eval()


def optimizer_of(encoder: Encoder) -> torch.optim.Optimizer:
    return torch.optim.AdamW([item.parameter for item in encoder.trainable()], lr=1e-2)


def train(encoder: Encoder, optimizer: torch.optim.Optimizer, steps: range, items: Items, total: int = TOTAL) -> list:
    """Numbers of singular values that are not zero, after each step."""
    ranks = []
    for step in steps:
        optimizer.zero_grad()
        into = torch.randn(len(items), encoder.dim, generator=torch.Generator().manual_seed(step))
        ((encoder(items) * into).sum() + encoder.plan.regulariser()).backward()
        optimizer.step()
        encoder.plan.after_step(step, total)
        ranks.append(sum(int(p.count_nonzero()) for name, p in named(encoder).items() if "lora_E" in name))
    return ranks


def named(encoder: Encoder) -> dict[str, Tensor]:
    return {item.name: item.parameter for item in encoder.trainable()}


def test_only_vectors_and_values_train(tiny_bert: Path) -> None:
    names = named(build(tiny_bert))
    assert len(names) == 3 * MATRICES
    assert {name.split(".")[-2] for name in names} == {"lora_A", "lora_B", "lora_E"}


def test_the_budget_falls_by_a_cubic_to_its_target(tiny_bert: Path, token_items: Any) -> None:
    encoder = build(tiny_bert)
    ranks = train(encoder, optimizer_of(encoder), range(1, TOTAL + 1), token_items(9, 3, 20))
    # Steps 1, 2: all 16. Then 8 + 8 (1 - (t - 2) / 5)^3, rounded down, until 7 of 10 steps; then 8.
    budget = [16, 16, *(int(8 + 8 * (1 - (step - 2) / 5) ** 3) for step in range(3, 8)), 8, 8, 8]
    assert budget == [16, 16, 12, 9, 8, 8, 8, 8, 8, 8]
    assert ranks == budget


def test_the_regulariser_by_hand(tiny_bert: Path) -> None:
    encoder = build(tiny_bert, orthogonality=0.5)
    gaps = []
    for name, parameter in named(encoder).items():
        if "lora_E" not in name:
            rows = parameter.detach() if "lora_A" in name else parameter.detach().T
            gaps.append(sum((float(rows[i] @ rows[j]) - (i == j)) ** 2 for i in range(4) for j in range(4)) ** 0.5)
    assert len(gaps) == 2 * MATRICES
    value = encoder.plan.regulariser()
    assert value.item() == pytest.approx(0.5 * sum(gaps) / len(gaps), rel=1e-5)
    value.backward()
    assert {name for name, p in named(encoder).items() if p.grad is not None} == {
        name for name in named(encoder) if "lora_E" not in name
    }


@pytest.mark.parametrize("made", [1, 2, 5, 7, 9])
def test_an_interrupted_run_goes_on_bit_for_bit(made: int, tiny_bert: Path, token_items: Any) -> None:
    items, whole = token_items(9, 3, 20), build(tiny_bert)
    train(whole, optimizer_of(whole), range(1, TOTAL + 1), items)
    first = build(tiny_bert)
    optimizer = optimizer_of(first)
    train(first, optimizer, range(1, made + 1), items)
    assert isinstance(first.plan.memory, Memory)
    file = io.BytesIO()
    torch.save([first.state_dict(), optimizer.state_dict(), first.plan.memory.state_dict()], file)
    file.seek(0)
    model, moments, memory = torch.load(file, weights_only=True)
    second = build(tiny_bert, seed=1)
    second.load_state_dict(model)
    second.plan.memory.load_state_dict(memory)
    optimizer = optimizer_of(second)
    optimizer.load_state_dict(moments)
    train(second, optimizer, range(made + 1, TOTAL + 1), items)
    for name, parameter in named(whole).items():
        assert torch.equal(named(second)[name], parameter), name


def test_without_its_memory_it_would_go_on_differently(tiny_bert: Path, token_items: Any) -> None:
    items, whole = token_items(9, 3, 20), build(tiny_bert)
    optimizer = optimizer_of(whole)
    train(whole, optimizer, range(1, 5), items)
    whole.plan.memory.load_state_dict({"importance": {}, "uncertainty": {}, "rank_pattern": None})
    train(whole, optimizer, range(5, TOTAL + 1), items)
    other = build(tiny_bert)
    train(other, optimizer_of(other), range(1, TOTAL + 1), items)
    assert any(not torch.equal(p, named(other)[name]) for name, p in named(whole).items())


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_run_of_few_steps_ends_at_the_target(total: int, tiny_bert: Path, token_items: Any) -> None:
    encoder = build(tiny_bert)
    ranks = train(encoder, optimizer_of(encoder), range(1, total + 1), token_items(9, 3, 20), total)
    assert ranks[-1] == 2 * MATRICES


def test_a_step_that_overflowed_leaves_the_averages_finite(tiny_bert: Path, token_items: Any) -> None:
    encoder = build(tiny_bert)
    optimizer = optimizer_of(encoder)
    train(encoder, optimizer, range(1, 3), token_items(9, 3, 20))
    for parameter in named(encoder).values():
        parameter.grad.fill_(float("inf"))
    encoder.plan.after_step(3, TOTAL)
    averages = encoder.plan.memory.state_dict()
    assert all(
        bool(value.isfinite().all()) for key in ("importance", "uncertainty") for value in averages[key].values()
    )
    assert train(encoder, optimizer, range(4, TOTAL + 1), token_items(9, 3, 20))[-1] == 2 * MATRICES


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 4}, "initial_r=4 leaves nothing to take away: give more than r=4"),
        ({"r": 0}, "needs r >= 1"),
        ({"warmup": 0.5, "final": 0.5}, "must leave some between them"),
        ({"warmup": -0.1}, "shares of all steps"),
        ({"orthogonality": -1.0}, "must not be negative"),
        ({"dropout": 1.0}, "outside"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str, tiny_bert: Path) -> None:
    with pytest.raises(ValueError, match=message):
        build(tiny_bert, **settings)
