"""Law 6. The encoder: items once, in chunks that nobody can see, centred, and cheap where nothing trains."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from torch import nn
from torch.utils import checkpoint

from datamodules.types import Items, Ragged
from lightning_modules.backbones.hybrid import HybridBackbone
from lightning_modules.backbones.item_id import ItemIdBackbone
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.finite import NotFiniteError
from lightning_modules.parts.chunking import chunk_by_length
from lightning_modules.parts.encoder import Encoder
from lightning_modules.strategies.frozen import FrozenStrategy
from lightning_modules.strategies.full import FullStrategy
from lightning_modules.strategies.top_k import TopKStrategy
from lightning_modules.types import Plan

LENGTHS = (9, 3, 20, 3, 12, 7, 7, 31)


def hybrid(folder: Path, **settings: object) -> HybridBackbone:
    return HybridBackbone(LanguageModelBackbone(str(folder), whiten=True), n_items=len(LENGTHS), dim=6, **settings)


def test_chunks_by_hand() -> None:
    # Sorted: 2 2 3 5 9 in rows 1 3 0 4 2. With 9 tokens: 2 + 2 + 3; 5 alone (5 + 9 > 9); 9 alone.
    lengths = torch.tensor([3, 2, 9, 2, 5])
    assert [chunk.tolist() for chunk in chunk_by_length(lengths, 9)] == [[1, 3, 0], [4], [2]]
    assert [chunk.tolist() for chunk in chunk_by_length(lengths, 1)] == [[1], [3], [0], [4], [2]]
    assert chunk_by_length(lengths[:0], 9) == []
    with pytest.raises(ValueError, match="give at least 1"):
        chunk_by_length(lengths, 0)


def test_chunks_hold_each_row_once_and_keep_the_budget() -> None:
    lengths = torch.randint(1, 60, (500,))
    chunks = chunk_by_length(lengths, 256)
    assert torch.cat(chunks).sort().values.tolist() == list(range(500))
    assert all(int(lengths[chunk].sum()) <= 256 for chunk in chunks)
    first = [int(lengths[chunk[0]]) for chunk in chunks[1:]]
    assert all(int(lengths[chunk].sum()) + more > 256 for chunk, more in zip(chunks, first, strict=False))


@pytest.mark.parametrize("budget", [1, 25, 64, 10_000])
def test_vectors_do_not_depend_on_the_chunks(budget: int, tiny_models: dict, token_items: Callable) -> None:
    items = token_items(*LENGTHS)
    backbone = LanguageModelBackbone(str(tiny_models["roberta"]))
    encoder = Encoder(backbone, FullStrategy(), tokens_per_chunk=budget).eval()
    unchunked = backbone.pool(backbone.run(backbone.embed(items), 0, backbone.depth))
    torch.testing.assert_close(encoder(items), unchunked, rtol=0, atol=1e-6)


def test_a_text_has_the_same_vector_alone_in_a_batch_and_in_another_order(
    tiny_models: dict, token_items: Callable
) -> None:
    items = token_items(*LENGTHS)
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), FullStrategy()).eval()
    order = torch.tensor([5, 0, 7, 2])
    vectors = encoder(items)
    torch.testing.assert_close(encoder(items.take(order)), vectors[order], rtol=0, atol=1e-6)
    torch.testing.assert_close(encoder(items.take(order[:1])), vectors[order[:1]], rtol=0, atol=1e-6)


def test_the_catalogue_is_bit_equal_whatever_the_chunk_setting_and_leaves_the_mode(
    tiny_models: dict, token_items: Callable
) -> None:
    items = token_items(*LENGTHS)
    found = []
    for budget in (1, 40, 4096):
        encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), FullStrategy(), tokens_per_chunk=budget)
        encoder(items)
        found.append(encoder.catalogue(items))
        assert encoder.training
        assert encoder.backbone.layers[0].training
        assert not found[-1].requires_grad
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_vectors_leave_centred_by_the_catalogue(tiny_models: dict, token_items: Callable) -> None:
    items = token_items(*LENGTHS)
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), FullStrategy()).eval()
    catalogue = encoder.catalogue(items)
    encoder.centre(catalogue)
    torch.testing.assert_close(encoder(items), catalogue - catalogue.mean(0), rtol=0, atol=1e-6)
    torch.testing.assert_close(encoder.catalogue(items), catalogue)
    assert "mean" in encoder.state_dict()


def test_kept_features_stand_for_the_frozen_model(tiny_models: dict, token_items: Callable) -> None:
    items = token_items(*LENGTHS)
    encoder = Encoder(hybrid(tiny_models["bert"]), FrozenStrategy())
    encoder.fit(lambda: encoder.pooled(items))
    assert encoder.features_reusable
    kept = Items(items.ids, features=encoder.settled(encoder.pooled(items)))
    torch.testing.assert_close(encoder(kept), encoder(items), rtol=0, atol=1e-3)
    torch.testing.assert_close(encoder.catalogue(kept), encoder.catalogue(items), rtol=0, atol=1e-6)


def states_of(encoder: Encoder, items: Items) -> Items:
    """The items with what leaves the frozen layers in the place of their tokens."""
    values = torch.empty(int(items.tokens.offsets[-1]), encoder.backbone.pretrained.config.hidden_size)
    for rows, states in encoder.lower_states(items):
        ends = Ragged(torch.arange(len(values)), items.tokens.offsets).take(rows)
        values[ends.values] = states
    return Items(items.ids, states=Ragged(values, items.tokens.offsets))


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "qwen3"])
def test_kept_states_stand_for_the_frozen_layers(name: str, tiny_models: dict, token_items: Callable) -> None:
    items = token_items(*LENGTHS)
    encoder = Encoder(LanguageModelBackbone(str(tiny_models[name])), TopKStrategy(k=1)).eval()
    assert encoder.lowest == 1
    kept, found = states_of(encoder, items), []
    for given in (items, kept):
        encoder.zero_grad()
        vectors = encoder(given)
        vectors.square().sum().backward()
        found.append([vectors, *(item.parameter.grad for item in encoder.trainable())])
    assert len(found[0]) > 5
    for slow, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encoder.catalogue(kept), encoder.catalogue(items), rtol=0, atol=1e-6)


@pytest.mark.parametrize("budget", [20, 60])
def test_recomputed_chunks_give_the_same_gradients_bit_for_bit(
    budget: int, tiny_models: dict, token_items: Callable
) -> None:
    """With dropout at work: what is computed again draws the same numbers."""
    items, found = token_items(*LENGTHS), []
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), FullStrategy(), tokens_per_chunk=budget)
    for recompute in (False, True):
        encoder.recompute = recompute
        encoder.zero_grad()
        torch.manual_seed(7)
        vectors = encoder(items)
        vectors.square().sum().backward()
        found.append(
            [vectors, *(item.parameter.grad for item in encoder.trainable() if item.parameter.grad is not None)]
        )
    assert all(torch.equal(slow, fast) for slow, fast in zip(*found, strict=True))


def test_recomputing_keeps_the_random_state_of_the_device_that_computes(
    tiny_models: dict, token_items: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch looks for it among the arguments of `checkpoint`, and there in tensors alone."""
    handed, kept = [], checkpoint.get_device_states
    monkeypatch.setattr(checkpoint, "get_device_states", lambda *given: handed.extend(given) or kept(*given))
    monkeypatch.setattr(checkpoint, "_infer_device_type", lambda *given: handed.extend(given) or "cuda")
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), FullStrategy())
    encoder.recompute = True
    encoder(token_items(*LENGTHS))
    assert any(isinstance(given, torch.Tensor) and given.shape == (sum(LENGTHS), 32) for given in handed)


def test_features_are_reusable_only_where_nothing_before_them_trains(tiny_models: dict) -> None:
    path = str(tiny_models["bert"])
    assert Encoder(LanguageModelBackbone(path, dim=4), FrozenStrategy()).features_reusable
    assert not Encoder(LanguageModelBackbone(path, pooling="attention"), FrozenStrategy()).features_reusable
    assert not Encoder(LanguageModelBackbone(path), TopKStrategy(k=1)).features_reusable
    assert not Encoder(ItemIdBackbone(n_items=3), FullStrategy()).features_reusable


def test_what_is_outside_the_pretrained_model_trains_under_every_strategy(choices: Callable, tiny_models: dict) -> None:
    found = choices("strategy")
    assert len(found) >= 5
    for content in found.values():
        encoder = Encoder(hybrid(tiny_models["bert"]), instantiate(content["strategy"]))
        names = {item.name.rpartition("backbone.")[2] for item in encoder.trainable() if not item.of_strategy}
        assert names == {"projection.weight", "projection.bias", "embedding.weight"}


def test_item_ids_accept_full_training_alone(choices: Callable) -> None:
    strategies = choices("strategy")
    assert Encoder(ItemIdBackbone(n_items=3), instantiate(strategies.pop("full")["strategy"])).lowest == 0
    assert len(strategies) >= 4
    for content in strategies.values():
        with pytest.raises(
            ValueError, match=r"Strategy changes a pretrained model and ItemIdBackbone has none: use strat"
        ):
            Encoder(ItemIdBackbone(n_items=3), instantiate(content["strategy"]))


def test_item_ids_need_no_text() -> None:
    encoder = Encoder(ItemIdBackbone(n_items=6, dim=4), FullStrategy())
    catalogue = encoder.catalogue(Items(torch.arange(6)))
    encoder.fit(lambda: pytest.fail("nothing has to be fitted"))
    encoder.centre(catalogue)
    torch.testing.assert_close(encoder(Items(torch.tensor([5, 1]))), (catalogue - catalogue.mean(0))[[5, 1]])


class HalfRateStrategy:
    """All of the model at half the learning rate."""

    def plan(self, pretrained: nn.Module, layers: list[nn.Module]) -> Plan:
        return Plan(identity="exact", trains=lambda name: True, lr_scale=lambda name: 0.5)


def test_what_trains_carries_its_rate(tiny_models: dict) -> None:
    encoder = Encoder(hybrid(tiny_models["bert"]), HalfRateStrategy())
    named = dict(encoder.named_parameters())
    groups = {item.name: item for item in encoder.trainable()}
    assert groups.keys() == named.keys()
    for name, item in groups.items():
        assert item.parameter is named[name]
        assert item.lr_scale == (0.5 if ".pretrained." in name else 1.0)


def test_whitening_is_fitted_once_and_saved(tiny_models: dict, token_items: Callable) -> None:
    items, others = token_items(*LENGTHS), token_items(*LENGTHS, seed=1)
    encoder = Encoder(hybrid(tiny_models["bert"]), FullStrategy())
    with pytest.raises(RuntimeError, match=r"call Encoder.fit"):
        encoder(items)
    encoder.fit(lambda: encoder.pooled(items))
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.fit(lambda: encoder.pooled(others))
    resumed = Encoder(hybrid(tiny_models["bert"]), FullStrategy())
    resumed.load_state_dict(state)
    resumed.fit(lambda: resumed.pooled(others))
    for candidate in (encoder, resumed):
        assert all(torch.equal(value, state[name]) for name, value in candidate.state_dict().items())


def test_dropout_of_a_hybrid_acts_in_training_alone(tiny_models: dict, token_items: Callable) -> None:
    items = token_items(*LENGTHS)
    encoder = Encoder(hybrid(tiny_models["bert"], dropout=0.5), FrozenStrategy())
    encoder.fit(lambda: encoder.pooled(items))
    assert not torch.equal(encoder(items), encoder(items))
    encoder.eval()
    assert torch.equal(encoder(items), encoder(items))


def test_a_deep_copy_is_whole_and_apart(tiny_models: dict, token_items: Callable) -> None:
    items = token_items(*LENGTHS)
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), FullStrategy()).eval()
    twin, before = deepcopy(encoder), encoder(items)
    for item in twin.trainable():
        nn.init.normal_(item.parameter)
    assert torch.equal(encoder(items), before)
    assert not torch.equal(twin(items), before)


def test_a_vector_that_is_not_finite_is_named(tiny_models: dict, token_items: Callable) -> None:
    encoder = Encoder(LanguageModelBackbone(str(tiny_models["bert"])), FullStrategy())
    encoder.backbone.pretrained.embeddings.word_embeddings.weight.data.fill_(torch.nan)
    with pytest.raises(NotFiniteError, match="the catalogue's vectors"):
        encoder.catalogue(token_items(*LENGTHS))
    with pytest.raises(NotFiniteError, match="the catalogue's pooled vectors"):
        encoder.pooled(token_items(*LENGTHS))


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="tokens_per_chunk=0 holds no text"):
        Encoder(ItemIdBackbone(n_items=3), FullStrategy(), tokens_per_chunk=0)
