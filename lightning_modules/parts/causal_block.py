"""One layer of causal self-attention over a history."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class CausalBlock(nn.Module):
    """Attention and a pointwise feed-forward of the same width, a layer norm before each (SASRec, Kang & McAuley 2018).

    Departure: the activation is GELU, theirs is ReLU.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"vectors of size {dim} do not divide into {heads} attention heads")
        self.heads, self.rate = heads, dropout
        self.attention_norm, self.forward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.forward_in, self.forward_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Float[Tensor, "B H D"]) -> Float[Tensor, "B H D"]:
        hidden = hidden + self.dropout(self.attend(self.attention_norm(hidden)))
        inner = self.dropout(nn.functional.gelu(self.forward_in(self.forward_norm(hidden))))
        return hidden + self.dropout(self.forward_out(inner))

    def attend(self, hidden: Float[Tensor, "B H D"]) -> Float[Tensor, "B H D"]:
        """Padding stands on the right, so the causal mask alone keeps it out of every true position."""
        batch, length, dim = hidden.shape
        split = self.query_key_value(hidden).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        rate = self.rate if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        return self.out(torch.flatten(mixed.transpose(1, 2), 2))
