"""The kernel for texts of unequal length, by a slow stand-in: what it is given, and when it is trusted."""

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from lightning_modules.parts import varlen_attention
from lightning_modules.parts.packed_attention import packed_attention
from lightning_modules.parts.runs import Run

CPU = torch.device("cpu")
RUNS = (Run(2, 3), Run(1, 7), Run(3, 1))
LENGTH = 16


def one_by_one(query, key, value, begins, ends, longest_query, longest_key, *, scale, window_size, enable_gqa):
    """What PyTorch says of its kernel, text by text."""
    assert begins.dtype == torch.int32
    assert (longest_query, longest_key) == (int(begins.diff().max()),) * 2
    outputs = []
    for first, last in zip(begins.tolist(), ends.tolist()[1:], strict=False):
        rows = (tensor[first:last].transpose(0, 1) for tensor in (query, key, value))
        causal = window_size == (-1, 0)
        out = scaled_dot_product_attention(*rows, is_causal=causal, scale=scale, enable_gqa=enable_gqa)
        outputs.append(out.transpose(0, 1))
    return torch.cat(outputs)


@pytest.fixture
def kernel(monkeypatch):
    """Installs a kernel; what was found out about another is forgotten."""

    def install(function):
        monkeypatch.setattr(varlen_attention, "varlen_attn", function)
        varlen_attention.agrees.cache_clear()

    yield install
    varlen_attention.agrees.cache_clear()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shared", [1, 2], ids=["a key for each head", "two heads share a key"])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_one_call_gives_what_the_rectangles_give(causal, shared, scaling, kernel, monkeypatch):
    kernel(one_by_one)
    module = nn.Module()
    module.is_causal, module.num_key_value_groups = causal, shared
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(1, heads, LENGTH, 8, generator=generator) for heads in (4, 4 // shared, 4 // shared)]
    settings = {"dropout": 0.0, "scaling": scaling}
    rectangles, _ = packed_attention(module, *drawn, None, RUNS, **settings)
    monkeypatch.setattr(varlen_attention, "serves", lambda *given, **settings: True)
    together, _ = packed_attention(module, *drawn, None, RUNS, **settings)
    assert together.shape == rectangles.shape == (1, LENGTH, 4, 8)
    torch.testing.assert_close(together, rectangles)


@pytest.mark.parametrize("causal", [True, False])
def test_a_kernel_is_trusted_where_it_agrees(causal, kernel):
    kernel(one_by_one)
    assert varlen_attention.agrees(CPU, torch.bfloat16, causal)


def crossing(query, key, value, begins, ends, *lengths, **settings):
    """A kernel that looks into the text before."""
    ends = begins = torch.tensor([0, len(query)], dtype=torch.int32)
    return one_by_one(query, key, value, begins, ends, len(query), len(query), **settings)


def missing(*given, **settings):
    raise RuntimeError("no kernel for this card\nmore words")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (crossing, "differs by"),
        (missing, r"failed \(no kernel for this card\)"),
        (varlen_attention.varlen_attn, r"failed \("),  # PyTorch's own, which a CPU does not have
    ],
)
def test_a_kernel_that_is_missing_or_wrong_is_left_alone_and_said_to_be(function, reason, kernel):
    kernel(function)
    with pytest.warns(UserWarning, match=rf"unequal length {reason}.* on cpu in torch.bfloat16; they go length by"):
        assert not varlen_attention.agrees(CPU, torch.bfloat16, False)


@pytest.mark.parametrize(
    ("dtype", "settings", "expected"),
    [
        (torch.bfloat16, {}, True),
        (torch.float16, {"dropout": 0.0, "scaling": 0.1}, True),
        (torch.float32, {}, False),
        (torch.bfloat16, {"dropout": 0.1}, False),
        (torch.bfloat16, {"position_bias": torch.zeros(1)}, False),
    ],
)
def test_it_serves_half_precision_without_dropout_on_a_gpu(dtype, settings, expected, monkeypatch):
    monkeypatch.setattr(varlen_attention, "agrees", lambda device, dtype, causal: True)
    assert varlen_attention.serves(torch.device("cuda"), dtype, 64, False, **settings) is expected
    assert not varlen_attention.serves(torch.device("cuda"), dtype, 512, False, **settings)
    assert not varlen_attention.serves(CPU, dtype, 64, False, **settings)
