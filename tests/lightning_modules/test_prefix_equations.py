"""A prefix in models where peft has none: attention from the equations, in plain matrix algebra."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.parts.virtual_tokens import KeysValues, prefix_of
from tests.lightning_modules.virtual_encoders import LENGTHS, assert_near, frozen, over_prefixes, perturbed


def heads_of(row: Tensor, count: int) -> Tensor:
    return row.unflatten(-1, (count, -1)).transpose(0, 1)


def attend(query: Tensor, key: Tensor, value: Tensor, two: KeysValues, scale: float, bias: Tensor) -> Tensor:
    """softmax(Q [P_k; K]' scale + bias) [P_v; V], head by head: He et al. 2022, equation 5. All: (heads, S, size)."""
    out = []
    for head in range(len(query)):
        keys = torch.cat([two.keys[head], key[head]])
        values = torch.cat([two.values[head], value[head]])
        scores = query[head] @ keys.T * scale + bias[head]
        out.append(torch.softmax(scores, dim=-1) @ values)
    return torch.cat(out, dim=-1)


def turned(row: Tensor, first: int, base: float) -> Tensor:
    """Rotary places from `first` on (Su et al. 2021): entries i and i + size/2 turn by place / base^(2i/size)."""
    size = row.shape[-1]
    angle = torch.outer(torch.arange(first, first + row.shape[-2]).float(), base ** -(torch.arange(0, size, 2) / size))
    a, b = row.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


def distilbert(model: nn.Module, tokens: Tensor, prefix: list[KeysValues]) -> Tensor:
    first, length = len(prefix[0].keys[0]), len(tokens)
    entry = model.embeddings
    x = entry.word_embeddings.weight[tokens] + entry.position_embeddings.weight[first : first + length]
    x = entry.LayerNorm(x)
    for layer, two in zip(model.transformer.layer, prefix, strict=True):
        part = layer.attention
        q, k, v = (heads_of(linear(x), 2) for linear in (part.q_lin, part.k_lin, part.v_lin))
        seen = attend(q, k, v, two, 1 / math.sqrt(16), torch.zeros(2, 1, 1))
        x = layer.sa_layer_norm(part.out_lin(seen) + x)
        x = layer.output_layer_norm(layer.ffn(x) + x)
    return x


def t5(model: nn.Module, tokens: Tensor, prefix: list[KeysValues]) -> Tensor:
    first, length = len(prefix[0].keys[0]), len(tokens)
    x = model.shared.weight[tokens]
    table = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    # Below 8 every distance has a bias of its own, 16 further on for keys that come later; here none is further.
    away = torch.arange(first + length) - torch.arange(first, first + length)[:, None]
    assert int(away.abs().max()) < 8
    bias = table[away.abs() + 16 * (away > 0)].permute(2, 0, 1)
    for block, two in zip(model.encoder.block, prefix, strict=True):
        part, wide = block.layer[0], block.layer[1]
        y = part.layer_norm(x)
        q, k, v = (
            heads_of(linear(y), 2) for linear in (part.SelfAttention.q, part.SelfAttention.k, part.SelfAttention.v)
        )
        x = x + part.SelfAttention.o(attend(q, k, v, two, 1.0, bias))
        x = x + wide.DenseReluDense(wide.layer_norm(x))
    return model.encoder.final_layer_norm(x)


def modernbert(model: nn.Module, tokens: Tensor, prefix: list[KeysValues]) -> Tensor:
    first, length, config = len(prefix[0].keys[0]), len(tokens), model.config
    x = model.embeddings.norm(model.embeddings.tok_embeddings.weight[tokens])
    away = torch.arange(first + length) - torch.arange(first, first + length)[:, None]
    for index, (layer, two) in enumerate(zip(model.layers, prefix, strict=True)):
        kind = config.layer_types[index]
        local = kind == "sliding_attention"
        hidden = torch.where(away.abs() > 6, -torch.inf, 0.0) if local else torch.zeros(away.shape)  # 12 / 2 each side
        q, k, v = layer.attn.Wqkv(layer.attn_norm(x)).chunk(3, dim=-1)
        base = config.rope_parameters[kind]["rope_theta"]
        q, k = (turned(heads_of(row, 2), first, base) for row in (q, k))
        x = x + layer.attn.Wo(attend(q, k, heads_of(v, 2), two, 1 / math.sqrt(16), hidden.expand(2, -1, -1)))
        x = x + layer.mlp(layer.mlp_norm(x))
    return model.final_norm(x)


@over_prefixes
@pytest.mark.parametrize(
    ("family", "forward", "lengths"),
    [("distilbert", distilbert, LENGTHS), ("t5", t5, (3, 1, 4, 3)), ("modernbert", modernbert, LENGTHS)],
)
def test_a_prefix_that_peft_cannot_compute_is_the_equations(
    method: str, family: str, forward: Callable, lengths: tuple, tiny_models: dict, token_items: Callable
) -> None:
    encoder, items = perturbed(method, tiny_models[family]), token_items(*lengths)
    model = encoder.backbone.pretrained
    prefix = prefix_of(model)
    texts = items.tokens.values.long().split(list(lengths))
    with torch.no_grad():
        expected = torch.stack([forward(model, text, prefix).mean(0) for text in texts])
        nothing = [KeysValues(two.keys[:, :0], two.values[:, :0]) for two in prefix]
        without = torch.stack([forward(model, text, nothing).mean(0) for text in texts])
    assert_near(encoder(items), expected)
    assert_near(frozen(tiny_models[family])(items), without)
    assert bool(((expected - without).abs().amax(1) > 1e-3).all())
