"""A narrow transformer beside a frozen one. Importing this file makes peft know it as the method `side`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from peft import PeftConfig
from torch import Tensor, nn
from torch.nn.functional import gelu

from lightning_modules.parts.packed_attention import packed_attention
from lightning_modules.parts.peft_methods import register, type_of
from lightning_modules.parts.reading_tuner import ReadingModel
from lightning_modules.parts.runs import Run

NAME = "side"


@dataclass
class SideConfig(PeftConfig):
    """taps: the layers whose output is read, from 0, the embeddings, to the last. The rest: see `Ladder`."""

    taps: list[int] = field(default_factory=list)
    reduction: int = field(default=8)
    heads: int = field(default=2)
    temperature: float = field(default=0.1)
    dropout: float = field(default=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = type_of(NAME)

    def build(self, width: int) -> "Ladder":
        """The network for a model of that width."""
        return Ladder(width, self.taps, self.reduction, self.heads, self.temperature, self.dropout)


class SideLayer(nn.Module):
    """Attention within each text and a feed-forward four times as wide, a layer norm before each.

    A token sees all of its text, also beside a decoder: texts are read whole and nothing of them is predicted, so there
    is nothing to hide. No dropout on attention weights, which the kernels for packed texts do not know.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.forward_in, self.forward_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Float[Tensor, "L N"], runs: Sequence[Run]) -> Float[Tensor, "L N"]:
        hidden = hidden + self.dropout(self.attend(self.attention_norm(hidden), runs))
        inner = self.dropout(gelu(self.forward_in(self.forward_norm(hidden))))
        return hidden + self.dropout(self.forward_out(inner))

    def attend(self, hidden: Float[Tensor, "L N"], runs: Sequence[Run]) -> Float[Tensor, "L N"]:
        split = self.query_key_value(hidden).unflatten(1, (3, self.heads, -1))
        query, key, value = split.permute(1, 2, 0, 3).unsqueeze(1)
        mixed, _ = packed_attention(self, query, key, value, None, runs=runs, is_causal=False)
        return self.out(mixed[0].flatten(1))


class Ladder(nn.Module):
    """Goes up beside the layers and takes in what each tap says; its top corrects what the last layer says.

        s_0 = W_0 h_0
        s_i = SideLayer_i((1 - mu_i) s_{i-1} + mu_i W_i h_i),   mu_i = sigmoid(alpha_i / temperature)
        output = h_N + W_up norm(s_N)

    Sung et al. 2022, "LST: Ladder Side-Tuning for Parameter and Memory Efficient Transfer Learning", section 3.2; h_0
    are the embeddings, h_N the last layer's output. Gates start at alpha = 0, as theirs.

    Departures. They feed W_up s_N alone to the head of a language model, and start the side layers as pruned copies of
    the frozen ones; ours are new, so the output is h_N plus theirs, and W_up starts at zero: step 0 is the pretrained
    model exactly. Our side layers are one kind of block for every family, and see a text in both directions.

    width: of the model. taps: at least two, ascending. reduction: the side network's width is the model's / reduction,
    rounded down; ValueError where `heads` do not divide it. temperature: > 0; small ones let gates move fast. dropout:
    within the side layers.
    """

    def __init__(
        self, width: int, taps: Sequence[int], reduction: int, heads: int, temperature: float, dropout: float
    ) -> None:
        super().__init__()
        narrow = width // reduction
        if narrow < 1 or narrow % heads:
            raise ValueError(
                f"side reduction={reduction} leaves {narrow} of width {width}, which does not divide into "
                f"heads={heads}: choose others, such as reduction={width // heads or 1} or heads=1"
            )
        self.width, self.taps, self.temperature = width, tuple(taps), temperature
        self.down = nn.ModuleList(nn.Linear(width, narrow) for _ in taps)
        self.layers = nn.ModuleList(SideLayer(narrow, heads, dropout) for _ in taps[1:])
        self.gates = nn.Parameter(torch.zeros(len(taps) - 1))
        self.norm, self.up = nn.LayerNorm(narrow), nn.Linear(narrow, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def tokens(self, states: Float[Tensor, "L W"], runs: Sequence[Run]) -> Float[Tensor, "L D"]:
        """From what the taps say of each token, side by side."""
        first, *others = states.split(self.width, dim=-1)
        side = self.down[0](first)
        shares = torch.sigmoid(self.gates / self.temperature)
        for share, down, layer, state in zip(shares, self.down[1:], self.layers, others, strict=True):
            side = layer((1 - share) * side + share * down(state), runs)
        return others[-1] + self.up(self.norm(side))


register(NAME, SideConfig, ReadingModel)
