"""The seam of adaptations: how a language model learns the words of a corpus, as records and a protocol."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from datamodules.types import Ragged


@dataclass(frozen=True)
class WordModel:
    """A language model with the head that says which word stands in a place, and what its tokenizer knows.

    longest: tokens of the longest text that it reads. vocabulary: number of word pieces. special, mask: the ids of
    special tokens and of the one that hides a word. new: names of the tensors that its folder did not bring, which
    begin at random.
    """

    model: nn.Module
    longest: int
    vocabulary: int
    special: tuple[int, ...]
    mask: int | None
    new: tuple[str, ...]


@dataclass(frozen=True)
class Predicted:
    """What a batch of texts came to: minus the log-likelihood of the words that were asked for, added up, and how many
    they were."""

    loss: Float[Tensor, ""]
    count: Int[Tensor, ""]

    @property
    def mean(self) -> Float[Tensor, ""]:
        """Of a word; 0 where no word was asked for."""
        return self.loss / self.count.clamp(min=1)


@runtime_checkable
class Adaptation(Protocol):
    """A task without labels by which a language model learns the words of a corpus. `load` raises ValueError, naming
    the model and the way out, for one that was not pretrained by it."""

    def load(self, folder: Path, first_layers: int | None) -> WordModel: ...

    def predict(self, words: WordModel, texts: Ragged) -> Predicted: ...
