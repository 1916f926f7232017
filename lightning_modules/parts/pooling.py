"""From the tokens of a text to one vector. Every pooling but the decoder's leaves a single token as it is, bit for bit.

A pooling reads a rectangle: texts of one length, without padding.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

Pooling = Literal["mean", "cls", "last", "attention", "decoder"]


class MeanPooling(nn.Module):
    """The mean of the tokens: what sentence-transformers such as all-MiniLM-L6-v2 were trained with."""

    def forward(self, hidden: Float[Tensor, "U S D"]) -> Float[Tensor, "U D"]:
        return hidden.mean(1)


class ClsPooling(nn.Module):
    """The first token, [CLS] or <s>."""

    def forward(self, hidden: Float[Tensor, "U S D"]) -> Float[Tensor, "U D"]:
        return hidden[:, 0]


class LastPooling(nn.Module):
    """The last token: in a decoder the only one that has seen the whole text."""

    def forward(self, hidden: Float[Tensor, "U S D"]) -> Float[Tensor, "U D"]:
        return hidden[:, -1]


class DecoderPooling(nn.Module):
    """What the model's decoder says first of what its encoder has read ("encoder-decoder first" of Ni et al. 2022,
    "Sentence-T5", section 3.1).

    The decoder's one token finds itself alone when it attends to what stands before: queries, keys and biases of that
    attention do nothing, and no strategy trains them (see `parts.families`)."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self._model = (model,)  # no submodule: the backbone holds it

    def forward(self, hidden: Float[Tensor, "U S D"]) -> Float[Tensor, "U D"]:
        (model,) = self._model
        start = torch.full((len(hidden), 1), model.config.decoder_start_token_id, device=hidden.device)
        words = model.decoder.get_input_embeddings()(start)
        return model.decoder(inputs_embeds=words, encoder_hidden_states=hidden, use_cache=False).last_hidden_state[:, 0]


class AttentionPooling(nn.Module):
    """Learned weights: a = softmax over tokens of q' tanh(W h + b), vector = sum of a h.

    Additive attention as in the news encoders of NRMS (Wu et al. 2019, "Neural News Recommendation with Multi-Head
    Self-Attention") and PLM-NR (Wu et al. 2021). Departure: q starts at zero, so that training starts from the mean.
    """

    def __init__(self, dim: int, width: int = 200) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, width)
        self.query = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.query.weight)

    def forward(self, hidden: Float[Tensor, "U S D"]) -> Float[Tensor, "U D"]:
        scores = self.query(torch.tanh(self.inner(hidden)))[..., 0]
        return torch.einsum("us,usd->ud", scores.softmax(-1), hidden)


def build_pooling(kind: str, dim: int) -> nn.Module:
    """The pooling of that name, of all that need no decoder, for vectors of size `dim`; ValueError for another name."""
    plain = {"mean": MeanPooling, "cls": ClsPooling, "last": LastPooling}
    if kind in plain:
        return plain[kind]()
    if kind == "attention":
        return AttentionPooling(dim)
    raise ValueError(f"pooling={kind!r} is unknown: choose {', '.join(plain)}, attention or decoder")
