"""Blocks of BERT, GPT-2, Llama and T5 with bottleneck adapters, written in matrix algebra from the papers' equations.

One text at a time, without dropout. w: a layer's weights by name; a place is named after the module that is wrapped.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Change = Callable[[Tensor], Tensor]
Weights = dict[str, Tensor]


def matrix(w: Weights, name: str, slow: Tensor | None) -> Tensor:
    """W, or sum_i A_i kron (s_i t_i)."""
    if slow is None:
        return w[f"{name}.weight"]
    return sum(torch.kron(a, s @ t) for a, s, t in zip(slow, w[f"{name}.left"], w[f"{name}.right"], strict=True))


def network(w: Weights, at: str, f: Change, slow: Tensor | None) -> Change:
    """h -> W_up f(W_down h + b_down) + b_up. KeyError where there is none."""
    net = f"{at}.bottleneck_net.default"
    down, up = matrix(w, f"{net}.down", slow), matrix(w, f"{net}.up", slow)
    return lambda h: f(h @ down.T + w[f"{net}.down.bias"]) @ up.T + w[f"{net}.up.bias"]


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, added: Tensor | float) -> Tensor:
    q, k, v = (each.unflatten(-1, (heads, -1)).transpose(0, 1) for each in (q, k, v))
    return ((q @ k.transpose(1, 2) * scale + added).softmax(-1) @ v).transpose(0, 1).flatten(1)


def linear(w: Weights, name: str) -> Change:
    return lambda x: x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(w: Weights, name: str, eps: float) -> Change:
    return lambda x: F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def rms(w: Weights, name: str, x: Tensor) -> Tensor:
    return w[f"{name}.weight"] * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def bert_block(w: Weights, x: Tensor, at: Callable[[str], Change], s: float) -> Tensor:
    q, k, v = (linear(w, f"attention.self.{part}")(x) for part in ("query", "key", "value"))
    h = linear(w, "attention.output.dense")(attention(q, k, v, 2, 16**-0.5, 0.0))
    x = norm(w, "attention.output.LayerNorm", 1e-12)(h + at("attention.output.dense")(h) + x)
    h = linear(w, "output.dense")(F.gelu(linear(w, "intermediate.dense")(x)))
    return norm(w, "output.LayerNorm", 1e-12)(h + at("output.dense")(h) + s * at("output")(x) + x)


def gpt2_block(w: Weights, x: Tensor, at: Callable[[str], Change], s: float) -> Tensor:
    w = {key: value.T if value.dim() == 2 and "bottleneck" not in key else value for key, value in w.items()}
    unseen = torch.full((len(x), len(x)), -torch.inf).triu(1)
    q, k, v = linear(w, "attn.c_attn")(norm(w, "ln_1", 1e-5)(x)).chunk(3, -1)
    h = linear(w, "attn.c_proj")(attention(q, k, v, 2, 16**-0.5, unseen))
    x = x + h + at("attn.c_proj")(h)
    read = norm(w, "ln_2", 1e-5)(x)
    h = linear(w, "mlp.c_proj")(F.gelu(linear(w, "mlp.c_fc")(read), approximate="tanh"))
    return x + h + at("mlp.c_proj")(h) + s * at("mlp")(read)


def rotated(x: Tensor) -> Tensor:
    """Each head's vector (16) at place p, its i-th number with its (8 + i)-th turned by p / 10000^(i / 8): RoFormer."""
    angle = torch.outer(torch.arange(len(x)), 10_000.0 ** (-torch.arange(8) / 8))[:, None]
    one, two = x.unflatten(-1, (2, 2, 8)).unbind(2)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([one * cos - two * sin, two * cos + one * sin], dim=2).flatten(1)


def llama_block(w: Weights, x: Tensor, at: Callable[[str], Change], s: float) -> Tensor:
    unseen = torch.full((len(x), len(x)), -torch.inf).triu(1)
    read = rms(w, "input_layernorm", x)
    q, k, v = (read @ w[f"self_attn.{part}_proj.weight"].T for part in "qkv")
    h = attention(rotated(q), rotated(k), v, 2, 16**-0.5, unseen) @ w["self_attn.o_proj.weight"].T
    x = x + h + at("self_attn.o_proj")(h)
    read = rms(w, "post_attention_layernorm", x)
    gate, inner = (read @ w[f"mlp.{part}_proj.weight"].T for part in ("gate", "up"))
    h = F.silu(gate) * inner @ w["mlp.down_proj.weight"].T
    return x + h + at("mlp.down_proj")(h) + s * at("mlp")(read)


def t5_block(w: Weights, x: Tensor, at: Callable[[str], Change], s: float) -> Tensor:
    place = torch.arange(len(x))
    distance = place[None] - place[:, None]  # of fewer than 8 tokens each has a bucket of its own
    buckets = distance.abs() + 16 * (distance > 0)
    bias = w["layer.0.SelfAttention.relative_attention_bias.weight"][buckets].permute(2, 0, 1)
    read = rms(w, "layer.0.layer_norm", x)
    q, k, v = (read @ w[f"layer.0.SelfAttention.{part}.weight"].T for part in "qkv")
    h = attention(q, k, v, 2, 1.0, bias) @ w["layer.0.SelfAttention.o.weight"].T
    x = x + h + at("layer.0.SelfAttention.o")(h)
    read = rms(w, "layer.1.layer_norm", x)
    h = F.relu(read @ w["layer.1.DenseReluDense.wi.weight"].T) @ w["layer.1.DenseReluDense.wo.weight"].T
    return x + h + at("layer.1.DenseReluDense.wo")(h) + s * at("layer.1.DenseReluDense")(read)


BLOCKS = {"bert": bert_block, "gpt2": gpt2_block, "llama": llama_block, "t5": t5_block}
PLACES = {
    "bert": ("attention.output.dense", "output.dense", "output"),
    "gpt2": ("attn.c_proj", "mlp.c_proj", "mlp"),
    "llama": ("self_attn.o_proj", "mlp.down_proj", "mlp"),
    "t5": ("layer.0.SelfAttention.o", "layer.1.DenseReluDense.wo", "layer.1.DenseReluDense"),
}
"""What says the change by attention, what the change by the feed-forward block, and that block."""
