"""Hide words and ask for them: masked language modelling (Devlin et al. 2019, section 3.1)."""

from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import AutoModelForMaskedLM

from datamodules.types import Ragged
from lightning_modules.adaptation import Predicted, WordModel
from lightning_modules.parts.word_model import UNASKED, load_word_model, padded, predict


class MaskedAdaptation:
    """A `share` of the word pieces is asked for. Of these, a part `hidden` becomes the mask token, a part `replaced`
    any word piece of the vocabulary, and the rest stays, for the model never sees the mask token later.

    loss = mean over the asked places of -log p(word | the text as changed)

    Every piece is drawn by itself, so a text's share varies, and a short text may be asked nothing; Devlin et al. fix
    the number per text. Special tokens are never asked. Draws come from torch's generator on the CPU, anew each time
    that a text is read. Raises ValueError for shares outside of (0, 1), or where hidden and replaced exceed one.
    """

    def __init__(self, share: float = 0.15, hidden: float = 0.8, replaced: float = 0.1) -> None:
        if not 0 < share < 1:
            raise ValueError(f"adaptation.share is {share}; a share of the words lies between 0 and 1, such as 0.15")
        if min(hidden, replaced) < 0 or hidden + replaced > 1:
            raise ValueError(
                f"adaptation.hidden is {hidden} and adaptation.replaced {replaced}; both are parts of what is asked, "
                "at least 0 and together at most 1, such as 0.8 and 0.1"
            )
        self.share, self.hidden, self.replaced = share, hidden, replaced

    def load(self, folder: Path, first_layers: int | None = None) -> WordModel:
        """An encoder with its head. Raises ValueError for any other model, and without a mask token."""
        words = load_word_model(AutoModelForMaskedLM, folder, "masked", first_layers)
        if words.mask is None:
            raise ValueError(f"adaptation=masked: the tokenizer in {folder} has no mask token: give a masked model")
        return words

    def predict(self, words: WordModel, texts: Ragged) -> Predicted:
        tokens, mask = padded(texts)
        changed, labels = self.change(words, tokens, mask)
        return predict(words, changed, mask, labels)

    def change(
        self, words: WordModel, tokens: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]
    ) -> tuple[Int[Tensor, "B S"], Int[Tensor, "B S"]]:
        """The texts as the model sees them, and the labels: the words that are asked for."""
        asked, lot, other = (part.to(tokens.device) for part in _draws(tokens.shape, words.vocabulary))
        special = torch.isin(tokens, torch.tensor(words.special, device=tokens.device))
        chosen = (asked < self.share) & mask & ~special
        labels = torch.where(chosen, tokens, UNASKED)
        assert words.mask is not None  # `load` saw to it
        seen = torch.where(lot < self.hidden, words.mask, torch.where(lot < self.hidden + self.replaced, other, tokens))
        return torch.where(chosen, seen, tokens), labels


def _draws(shape: torch.Size, vocabulary: int) -> tuple[Tensor, Tensor, Tensor]:
    """On the CPU, whose generator is the one that every machine has."""
    return torch.rand(shape), torch.rand(shape), torch.randint(vocabulary, shape)
