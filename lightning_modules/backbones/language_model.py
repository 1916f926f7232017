"""An item is its text, read by a pretrained language model."""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from datamodules.types import Items
from lightning_modules.parts.layout import layout_of
from lightning_modules.parts.loading import load_encoder
from lightning_modules.parts.pooling import Pooling, build_pooling
from lightning_modules.parts.runs import rectangles, runs_of
from lightning_modules.parts.whitening import Whitening
from lightning_modules.types import State


class LanguageModelBackbone(nn.Module):
    """Tokens through a Hugging Face encoder, pooled, if asked whitened, if asked projected to `dim`.

    path: a local folder with config and weights; weights are loaded as float32 whatever they were stored in, and
    without the pooler that nothing here uses. pooling: how a text's tokens become one vector. whiten: decorrelate the
    pooled vectors (see `parts.whitening`; fitted by `Encoder.fit`, before the first step, on the model as it was
    pretrained). dim: size of a learned linear map's output; null leaves the model's own size and learns nothing
    outside it.

    Texts go through the layers end to end, without padding. Raises ValueError for a text beyond the model's positions.
    """

    def __init__(self, path: str, pooling: Pooling = "mean", whiten: bool = False, dim: int | None = None) -> None:
        super().__init__()
        if dim is not None and dim < 1:
            raise ValueError(f"LanguageModelBackbone dim={dim} must be at least 1, or null for the model's own size")
        self.pretrained: PreTrainedModel = load_encoder(Path(path))
        self._layout = layout_of(self.pretrained)
        self.layers = self._layout.layers
        self.depth = len(self.layers)
        self.packs = self._layout.packs
        width = self.pretrained.config.hidden_size
        self.dim = dim or width
        self.pools_with_parameters = pooling == "attention"
        self.pooling = build_pooling(pooling, width)
        self.whitening = Whitening(width) if whiten else nn.Identity()
        self.projection = nn.Identity() if dim is None else nn.Linear(width, dim)

    def embed(self, items: Items) -> State:
        if items.tokens is None:
            raise ValueError(
                "A language model reads tokens, and these items have none: use backbone=item_id, or give text"
            )
        runs = runs_of(items.tokens.lengths().tolist())
        longest = max((run.length for run in runs), default=0)
        if longest > self._layout.longest:
            raise ValueError(
                f"A text of {longest} tokens exceeds the {self._layout.longest} positions of "
                f"{type(self.pretrained).__name__}: lower text.max_tokens"
            )
        return State(items.ids, self._layout.embed(items.tokens.values.long(), runs), runs)

    def run(self, state: State, start: int, stop: int) -> State:
        return replace(state, hidden=self._layout.run(state.hidden, state.runs, start, stop), depth=stop)

    def pool(self, state: State) -> Float[Tensor, "U F"]:
        return torch.cat([self.pooling(texts) for texts in rectangles(state.hidden, state.runs)])

    def settle(self, pooled: Float[Tensor, "U F"]) -> Float[Tensor, "U F"]:
        return self.whitening(pooled)

    def final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U F"]) -> Float[Tensor, "U D"]:
        return self.projection(settled)
