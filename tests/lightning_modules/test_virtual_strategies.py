"""Strategies with virtual tokens: what trains, where it starts, what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import pad as widen

from datamodules.types import Items, Ragged
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.parts.virtual_tokens import prompt_of
from lightning_modules.strategies.p_tuning import PTuningStrategy
from lightning_modules.strategies.prefix import PrefixStrategy
from lightning_modules.strategies.prompt import PromptStrategy
from tests.lightning_modules.virtual_encoders import (
    LENGTHS,
    METHODS,
    PREFIXES,
    build,
    frozen,
    over_methods,
    own_forward,
    padding_of,
    pefts_old_names,
)

COUNTS = {  # by hand, for a BERT of 2 layers of width 32
    "prompt": 4 * 32,
    "p_tuning": 4 * 32 + (32 * 24 + 24) + (24 * 24 + 24) + (24 * 32 + 32),
    "prefix": 4 * 2 * 2 * 32,
    "prefix_made": 4 * 32 + (32 * 24 + 24) + (24 * 128 + 128),
}


@over_methods
def test_the_virtual_tokens_alone_train_under_names_of_the_model(method: str, tiny_models: dict) -> None:
    encoder = build(method, tiny_models["bert"])
    names = {item.name for item in encoder.trainable()}
    assert names
    assert all(name.startswith("backbone.pretrained.virtual_tokens.encoder.") for name in names)
    assert sum(item.parameter.numel() for item in encoder.trainable()) == COUNTS[method]
    assert names <= encoder.state_dict().keys()


@over_methods
def test_what_runs_in_training_mode(method: str, tiny_models: dict) -> None:
    # A prompt passes the embeddings' norm and dropout, a prefix begins in layer 0.
    encoder = build(method, tiny_models["bert"]).train()
    assert encoder.lowest == 0
    assert encoder.embeddings_train == (method not in PREFIXES)
    assert {part.training for part in encoder.backbone.pretrained.embeddings.modules()} == {encoder.embeddings_train}
    assert {part.training for layer in encoder.backbone.layers for part in layer.modules()} == {True}
    assert not {part.training for part in encoder.eval().modules()} - {False}


@over_methods
def test_the_seed_alone_decides_the_start(method: str, tiny_models: dict) -> None:
    first, again, other = (build(method, tiny_models["bert"], seed) for seed in (0, 0, 1))
    three = [
        torch.cat([item.parameter.detach().flatten() for item in each.trainable()]) for each in (first, again, other)
    ]
    assert torch.equal(three[0], three[1])
    assert not torch.equal(three[0], three[2])


@pytest.mark.parametrize("family", ["bert", "electra", "gpt2", "modernbert", "t5"])
def test_a_prompt_starts_as_words_of_the_vocabulary(family: str, tiny_models: dict) -> None:
    model = build("prompt", tiny_models[family]).backbone.pretrained
    words = model.get_input_embeddings().weight
    found = (prompt_of(model)[:, None] == words).all(-1)
    assert found.any(1).tolist() == [True] * 4


def test_a_prefix_starts_near_zero_and_each_token_goes_its_own_way(tiny_models: dict, token_items: Callable) -> None:
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), PrefixStrategy(virtual_tokens=50)).eval()
    (prefix,) = (item.parameter for item in encoder.trainable())
    assert abs(float(prefix.detach().std()) - 0.02) < 1e-3
    encoder(token_items(*LENGTHS)).square().sum().backward()
    assert len({tuple(row) for row in prefix.grad.tolist()}) == 50


# What is refused, by name.


@over_methods
def test_a_text_that_leaves_no_room_is_refused(method: str, tiny_models: dict, token_items: Callable) -> None:
    for family in ("bert", "gpt2"):
        encoder = build(method, tiny_models[family])
        longest = encoder.backbone.pretrained.config.max_position_embeddings - 4
        assert encoder(token_items(longest)).isfinite().all()
        with pytest.raises(ValueError, match=rf"{longest + 1} tokens exceeds .* 4 of which are virtual"):
            encoder(token_items(longest + 1))


@over_methods
def test_a_model_in_one_piece_is_refused(method: str, tiny_models: dict) -> None:
    name = type(METHODS[method]()).__name__
    with pytest.raises(ValueError, match=rf"{name} puts .* AlbertModel \(albert\) is not read layer .*: use strategy="):
        build(method, tiny_models["albert"])
    with pytest.raises(ValueError, match=rf"{name} puts .* Linear \(no language model\)"):
        METHODS[method]().plan(nn.Linear(1, 1), [])


def test_settings_out_of_range_are_refused() -> None:
    for strategy in (PromptStrategy, PTuningStrategy, PrefixStrategy):
        with pytest.raises(ValueError, match=f"{strategy.__name__} virtual_tokens=0 must be at least 1"):
            strategy(virtual_tokens=0)
    with pytest.raises(ValueError, match="hidden=0 must be at least 1"):
        PTuningStrategy(hidden=0)
    with pytest.raises(ValueError, match="projection=-1 must be at least 0"):
        PrefixStrategy(projection=-1)


# Real weights.

REAL = {  # by hand, for 5 virtual tokens and 6 layers of width 384
    PromptStrategy: 5 * 384,
    PTuningStrategy: 5 * 384 + (384 * 128 + 128) + (128 * 128 + 128) + (128 * 384 + 384),
    PrefixStrategy: 5 * 2 * 6 * 384,
}


@pefts_old_names
def test_real_minilm_starts_near_itself(minilm_path: Path) -> None:
    torch.manual_seed(0)
    texts = [torch.cat([torch.tensor([101]), torch.randint(2000, 10_000, (n,)), torch.tensor([102])]) for n in LENGTHS]
    lengths = torch.tensor([len(text) for text in texts])
    offsets = widen(lengths.cumsum(0), (1, 0))
    items = Items(torch.arange(len(texts)), Ragged(torch.cat(texts).int(), offsets))
    base, near = frozen(minilm_path)(items), {}
    for strategy, count in REAL.items():
        encoder = Encoder(LanguageModelBackbone(str(minilm_path)), strategy()).eval()
        assert sum(item.parameter.numel() for item in encoder.trainable()) == count
        with torch.no_grad():
            vectors = encoder(items)
            theirs = own_forward(encoder.plan.adapter.eval(), items, padding_of(encoder))
        torch.testing.assert_close(vectors, theirs, rtol=0, atol=1e-5)
        near[strategy] = float(torch.cosine_similarity(vectors, base.detach()).mean())
    assert near[PrefixStrategy] > 0.85
    assert all(cosine > 0.6 for cosine in near.values())
