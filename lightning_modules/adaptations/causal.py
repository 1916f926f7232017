"""Ask for the next word: causal language modelling (Radford et al. 2018, equation 1)."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from datamodules.types import Ragged
from lightning_modules.adaptation import Predicted, WordModel
from lightning_modules.parts.word_model import UNASKED, load_word_model, padded, predict


class CausalAdaptation:
    """Every word piece but a text's first is asked for, given those before it.

    loss = mean over places t > 1 of -log p(word t | words 1 .. t - 1)

    A text stands alone: unlike in pretraining nothing is packed behind it, and no token marks its beginning or end that
    the tokenizer does not set.
    """

    def load(self, folder: Path, first_layers: int | None = None) -> WordModel:
        """A decoder with its head. Raises ValueError for any other model."""
        return load_word_model(AutoModelForCausalLM, folder, "causal", first_layers)

    def predict(self, words: WordModel, texts: Ragged) -> Predicted:
        tokens, mask = padded(texts)
        following = torch.where(mask, tokens, UNASKED).roll(-1, dims=1)
        following[:, -1] = UNASKED
        return predict(words, tokens, mask, following)
