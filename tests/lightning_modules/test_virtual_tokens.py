"""Virtual tokens: what stands before a text in the packed row is what peft's own forward computes."""

from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from torch import Tensor

from lightning_modules.parts.packed_attention import visible
from lightning_modules.parts.runs import Run
from lightning_modules.parts.virtual_tokens import prefix_of, prompt_of, put_before
from tests.lightning_modules.virtual_encoders import (
    LENGTHS,
    PEFT_CAN,
    PEFT_CANNOT_PREFIX,
    assert_near,
    build,
    frozen,
    over_methods,
    own_forward,
    padding_of,
    pefts_old_names,
    perturbed,
)

PAIRS = [(method, family) for method in ("prompt", "prefix") for family in PEFT_CAN]
PAIRS += [("prompt", family) for family in PEFT_CANNOT_PREFIX]
PAIRS += [(method, family) for method in ("p_tuning", "prefix_made") for family in ("bert", "qwen2")]


@pefts_old_names
@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_packed_layers_equal_pefts_forward_and_so_does_the_saved_folder(
    method: str, family: str, tiny_models: dict, token_items: Callable, tmp_path: Path
) -> None:
    encoder, items = perturbed(method, tiny_models[family]), token_items(*LENGTHS)
    with torch.no_grad():
        vectors = encoder(items)
        assert_near(vectors, own_forward(encoder.plan.adapter.eval(), items, padding_of(encoder)))
        encoder.plan.adapter.save_pretrained(tmp_path)
        base = frozen(tiny_models[family])
        assert bool(((vectors - base(items)).abs().amax(1) > 1e-3).all())
        opened = peft.PeftModel.from_pretrained(base.backbone.pretrained, tmp_path).eval()
        assert_near(vectors, own_forward(opened, items, padding_of(encoder)))


@pefts_old_names
@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("family", ["mistral", "qwen2"])
def test_a_window_counts_virtual_tokens_as_peft_does(
    method: str, family: str, windowed_models: dict, tiny_models: dict, token_items: Callable
) -> None:
    # 4 virtual tokens and 9 words exceed a window of 8, 4 and 3 do not.
    encoder, items = perturbed(method, windowed_models[family]), token_items(*LENGTHS)
    vectors = encoder(items)
    assert_near(vectors, own_forward(encoder.plan.adapter.eval(), items, padding_of(encoder)))
    unbounded = perturbed(method, tiny_models[family])(items)
    assert [bool(same) for same in (vectors - unbounded).abs().amax(1) < 1e-5] == [n + 4 <= 8 for n in LENGTHS]


@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("family", ["bert", "qwen2", "t5", "modernbert"])
def test_a_text_alone_is_the_text_in_a_batch(
    method: str, family: str, tiny_models: dict, token_items: Callable
) -> None:
    encoder, items = perturbed(method, tiny_models[family]), token_items(*LENGTHS)
    with torch.no_grad():
        together = encoder(items)
        alone = torch.cat([encoder(items.take(torch.tensor([row]))) for row in range(len(items))])
        assert_near(alone, together)
        order = torch.tensor([4, 2, 0, 5, 1, 3])
        assert_near(encoder(items.take(order)), together[order])


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "mistral"])
def test_a_decoder_reads_words_alike_as_text_prompt_or_prefix(
    family: str, tiny_models: dict, token_items: Callable
) -> None:
    # Words see nothing behind them, so what they leave in each layer is all that a text has of them.
    items, words = token_items(5, 2, 9), torch.tensor([17, 40, 5, 99])
    base = frozen(tiny_models[family]).backbone.pretrained
    prompt, prefix = build("prompt", tiny_models[family]), build("prefix", tiny_models[family])
    texts = items.tokens.values.long().split([5, 2, 9])
    with torch.no_grad():
        whole = [base(input_ids=torch.cat([words, text])[None]).last_hidden_state[0, 4:].mean(0) for text in texts]
        cache = base(input_ids=words[None], use_cache=True).past_key_values
        left = [side[0].transpose(0, 1).flatten(1) for layer in cache.layers for side in (layer.keys, layer.values)]
        prefix.backbone.pretrained.virtual_tokens.encoder.embedding.weight.copy_(torch.cat(left, dim=1))
        prompt.backbone.pretrained.virtual_tokens.encoder.embedding.weight.copy_(base.get_input_embeddings()(words))
    assert_near(prefix(items), torch.stack(whole))
    assert_near(prompt(items), torch.stack(whole))


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert", "t5", "electra"])
def test_a_prompt_of_words_is_a_longer_text(family: str, tiny_models: dict, token_items: Callable) -> None:
    items, words = token_items(5, 2, 9), torch.tensor([17, 40, 5, 99])
    base, prompt = frozen(tiny_models[family]).backbone.pretrained, build("prompt", tiny_models[family])
    with torch.no_grad():
        prompt.backbone.pretrained.virtual_tokens.encoder.embedding.weight.copy_(base.get_input_embeddings()(words))
        whole = [
            base(input_ids=torch.cat([words, text])[None]).last_hidden_state[0, 4:].mean(0)
            for text in items.tokens.values.long().split([5, 2, 9])
        ]
    assert_near(prompt(items), torch.stack(whole))


def test_what_a_network_makes_is_its_equation(tiny_models: dict) -> None:
    model = perturbed("p_tuning", tiny_models["bert"]).backbone.pretrained
    made = model.virtual_tokens.encoder
    w1, w2, w3 = (made.mlp_head[index] for index in (0, 2, 4))
    inner = torch.relu(made.embedding.weight @ w1.weight.T + w1.bias)
    inner = torch.relu(inner @ w2.weight.T + w2.bias)
    torch.testing.assert_close(prompt_of(model), inner @ w3.weight.T + w3.bias)
    model = perturbed("prefix_made", tiny_models["bert"]).backbone.pretrained
    made = model.virtual_tokens.encoder
    w1, w2 = made.transform[0], made.transform[2]
    rows = torch.tanh(made.embedding.weight @ w1.weight.T + w1.bias) @ w2.weight.T + w2.bias
    for layer, two in enumerate(prefix_of(model)):
        keys, values = rows[:, 64 * layer :][:, :32], rows[:, 64 * layer + 32 :][:, :32]
        for head in (0, 1):
            torch.testing.assert_close(two.keys[head], keys[:, 16 * head :][:, :16])
            torch.testing.assert_close(two.values[head], values[:, 16 * head :][:, :16])


def test_a_prompt_goes_in_front_of_each_text() -> None:
    prompt, words = -torch.ones(2, 1), torch.arange(7.0)[:, None]
    together, runs = put_before(prompt, words, (Run(2, 1), Run(1, 3), Run(1, 2)))
    assert together[:, 0].tolist() == [-1, -1, 0, -1, -1, 1, -1, -1, 2, 3, 4, -1, -1, 5, 6]
    assert runs == (Run(2, 3), Run(1, 5), Run(1, 4))


def test_what_a_text_sees_of_the_tokens_before_it() -> None:
    cpu = torch.device("cpu")
    assert visible(3, causal=True, window=None, before=2, device=cpu)[0, 0].int().tolist() == [
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]
    assert visible(3, causal=False, window=3, before=2, device=cpu)[0, 0].int().tolist() == [
        [1, 1, 1, 1, 1],
        [0, 1, 1, 1, 1],
        [0, 0, 1, 1, 1],
    ]
    assert visible(3, causal=True, window=2, before=1, device=cpu)[0, 0].int().tolist() == [
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 1],
    ]
    assert visible(3, causal=False, window=5, before=2, device=cpu) is None
    assert visible(3, causal=True, window=3, before=0, device=cpu) is None


@pytest.mark.parametrize("family", ["bert", "llama", "t5"])
@over_methods
def test_recomputation_and_chunks_give_the_same_gradients(
    method: str, family: str, tiny_models: dict, token_items: Callable
) -> None:
    encoder, items = perturbed(method, tiny_models[family]), token_items(*LENGTHS)
    goal = torch.randn(len(LENGTHS), 32)

    def gradients(chunk: int, recompute: bool) -> list[Tensor]:
        encoder.tokens_per_chunk, encoder.recompute = chunk, recompute
        encoder.zero_grad()
        (encoder(items) * goal).sum().backward()
        return [item.parameter.grad.clone() for item in encoder.trainable()]

    expected = gradients(4096, recompute=False)
    assert all(bool(gradient.abs().max() > 0) for gradient in expected)
    for chunk, recompute in ((4096, True), (13, False), (13, True)):
        for found, wanted in zip(gradients(chunk, recompute), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["p_tuning", "prefix"])
@pytest.mark.parametrize("family", ["qwen2", "t5"])
def test_autocast_moves_rounding_alone(method: str, family: str, tiny_models: dict, token_items: Callable) -> None:
    encoder, items = perturbed(method, tiny_models[family]), token_items(*LENGTHS)
    with torch.no_grad():
        whole = encoder(items)
        with torch.autocast("cpu", torch.bfloat16):
            half = encoder(items)
    torch.testing.assert_close(half, whole, rtol=0, atol=0.05)
