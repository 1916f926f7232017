"""An item is its text, read by a pretrained language model."""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from datamodules.types import Items
from lightning_modules.parts.layouts.choice import layout_of
from lightning_modules.parts.loading import keep_first, load_encoder
from lightning_modules.parts.pooling import DecoderPooling, Pooling, build_pooling
from lightning_modules.parts.runs import rectangles, runs_of
from lightning_modules.parts.virtual_tokens import prompt_of, put_before, virtual_length
from lightning_modules.parts.whitening import Whitening
from lightning_modules.types import State


class LanguageModelBackbone(nn.Module):
    """Tokens through a Hugging Face encoder, pooled, if asked whitened, if asked projected to `dim`.

    path: a local folder with config and weights; weights are loaded as float32 whatever they were stored in, and
    without the pooler that nothing here uses. pooling: how a text's tokens become one vector. whiten: decorrelate the
    pooled vectors (see `parts.whitening`; fitted by `Encoder.fit`, before the first step, on the model as it was
    pretrained). dim: size of a learned linear map's output; null leaves the model's own size and learns nothing
    outside it. first_layers: so many of the lowest layers are kept and the others thrown away, for a smaller and faster
    model; null keeps all. dropout: within the layers that train, in the place of the shares that the model was
    pretrained with; null keeps those. Whitening raises what is small, and with it the noise of dropout: there 0 trains
    better (docs/log.md).

    Texts go through the layers end to end, without padding. Virtual tokens that a strategy put before them are not
    pooled. Raises ValueError for a text beyond the model's positions.
    """

    def __init__(
        self,
        path: str,
        pooling: Pooling = "mean",
        whiten: bool = False,
        dim: int | None = None,
        first_layers: int | None = None,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        if dim is not None and dim < 1:
            raise ValueError(f"LanguageModelBackbone dim={dim} must be at least 1, or null for the model's own size")
        self.pretrained: PreTrainedModel = load_encoder(Path(path), decoder=pooling == "decoder", dropout=dropout)
        if first_layers is not None:
            keep_first(self.pretrained, layout_of(self.pretrained).layers, first_layers)
        self._layout = layout_of(self.pretrained)
        self.layers = self._layout.layers
        self.depth = len(self.layers)
        self.packs = self._layout.packs
        width = self.pretrained.config.hidden_size
        self.dim = dim or width
        self.pools_with_parameters = pooling == "attention"
        self.pooling = DecoderPooling(self.pretrained) if pooling == "decoder" else build_pooling(pooling, width)
        self.whitening = Whitening(width) if whiten else nn.Identity()
        self.projection = nn.Identity() if dim is None else nn.Linear(width, dim)

    def embed(self, items: Items) -> State:
        if items.tokens is None:
            raise ValueError(
                "A language model reads tokens, and these items have none: use backbone=item_id, or give text"
            )
        runs = runs_of(items.tokens.lengths().tolist())
        self._require_room(max((run.length for run in runs), default=0))
        words, prompt = self._layout.words(items.tokens.values.long()), prompt_of(self.pretrained)
        if prompt is None:
            return State(items.ids, self._layout.enter(words, runs), runs)
        words, runs = put_before(prompt, words, runs)
        return State(items.ids, self._layout.enter(words, runs), runs, virtual=len(prompt))

    def run(self, state: State, start: int, stop: int) -> State:
        return replace(state, hidden=self._layout.run(state.hidden, state.runs, start, stop), depth=stop)

    def pool(self, state: State) -> Float[Tensor, "U F"]:
        texts = rectangles(state.hidden, state.runs)
        return torch.cat([self.pooling(text[:, state.virtual :]) for text in texts])

    def settle(self, pooled: Float[Tensor, "U F"]) -> Float[Tensor, "U F"]:
        return self.whitening(pooled)

    def final(self, ids: Int[Tensor, " U"], settled: Float[Tensor, "U F"]) -> Float[Tensor, "U D"]:
        return self.projection(settled)

    def _require_room(self, longest: int) -> None:
        taken = virtual_length(self.pretrained)
        if longest + taken > self._layout.longest:
            less = f", {taken} of which are virtual tokens" if taken else ""
            raise ValueError(
                f"A text of {longest} tokens exceeds the {self._layout.longest} positions of "
                f"{type(self.pretrained).__name__}{less}: lower text.max_tokens"
            )
