"""The training step that tutorials show: a text is tokenised when its example is read, padded to 128, every item of a
history is encoded for every example, and an example asks one target.

    python -m benchmarks.loops.tutorial --corpus ml100k --strategy full

Kinder than most tutorials in three ways, so that no ratio rests on them: padding *items* are not encoded, the other
targets of the batch stand in for sampled negatives, and each history is the window that our loop shows too.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset
from transformers import AutoTokenizer

from benchmarks.loops.dense import DenseHead, DenseInterest, DenseRecommender
from benchmarks.loops.plain_model import PlainEncoder
from benchmarks.loops.setting import CLIP, Setting, data_and_folder, plain_optimizer
from benchmarks.measuring.serving import Counts, Turn, serve
from datamodules.batching.batches import windows
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import Events, Queries

LONGEST = 128
SLICE = 64
"""Examples that are read, drawn evenly from all."""


class TutorialExamples(Dataset[dict[str, Any]]):
    """One target of one user: the texts before it and its own, tokenised on the spot."""

    def __init__(self, data: InterestDataModule, tokenizer: Any, drawn: np.ndarray) -> None:
        self.data, self.tokenizer, self.drawn = data, tokenizer, drawn

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, number: int) -> dict[str, Any]:
        examples, query = self.data.examples, self.drawn[number]
        window = np.searchsorted(examples.offsets, query, side="right") - 1
        start = examples.start[window]
        stop = start + examples.position[query] + 1
        items = self.data.log.item[np.append(np.arange(start, stop), examples.target[query])]
        texts = [self.data.texts.texts[item] for item in items]
        tokens = self.tokenizer(texts, padding="max_length", truncation=True, max_length=LONGEST, return_tensors="pt")
        return {"tokens": tokens, "start": start, "stop": stop, "items": items, "user": examples.user[window]}


class Tutorial(nn.Module):
    """Encode every text of every example, then the dense maths with one question for each user."""

    def __init__(self, data: InterestDataModule, encoder: PlainEncoder) -> None:
        super().__init__()
        self.data, self.encoder = data, encoder
        interest = DenseInterest(encoder.dim, len(data.log.behaviours), data.log.time is not None)
        self.dense = DenseRecommender(interest, DenseHead(), encoder.dim)

    def forward(self, batch: list[dict[str, Any]]) -> Tensor:
        scores = self.scores(batch)
        return cross_entropy(scores, torch.arange(len(batch)))

    def scores(self, batch: list[dict[str, Any]]) -> Tensor:
        """(B, B): each user against the targets of all."""
        ids = torch.cat([example["tokens"]["input_ids"] for example in batch])
        mask = torch.cat([example["tokens"]["attention_mask"] for example in batch])
        vectors = self.encoder(ids, mask) - self.dense.mean
        last = torch.tensor([len(example["items"]) for example in batch]).cumsum(0) - 1
        events, queries = self._asked(batch)
        nodes, weights = self.dense.interest(vectors[events.slot], events, queries)
        return self.dense.head(nodes, weights, vectors[last], last)[:, 0]

    def _asked(self, batch: list[dict[str, Any]]) -> tuple[Events, Queries]:
        start = np.array([example["start"] for example in batch])
        stop = np.array([example["stop"] for example in batch])
        window, mask = windows(start, stop)
        first = np.cumsum([0] + [len(example["items"]) for example in batch])[:-1]
        slot = np.where(mask, first[:, None] + np.arange(mask.shape[1]), first[:, None])
        position = (stop - start - 1)[:, None]
        log = self.data.log
        user = np.array([example["user"] for example in batch])
        return log.events(window, mask, slot, user), log.queries(window, position, np.ones_like(position, dtype=bool))


def loop(setting: Setting) -> Turn:
    """A turn takes the step of one batch."""
    config = setting.config("full")
    data, folder = data_and_folder(config)
    model = Tutorial(data, PlainEncoder(folder, setting.strategy)).train()
    optimizer = plain_optimizer(model.parameters(), config)
    drawn = np.linspace(0, len(data.examples.target) - 1, SLICE * setting.users).astype(int)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    examples = TutorialExamples(data, tokenizer, np.random.default_rng(0).permutation(drawn))
    batches = iter(DataLoader(examples, batch_size=setting.users, collate_fn=list))

    def turn(number: int) -> Counts:
        batch = next(batches)
        loss = model(batch)
        loss.backward()
        clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return {"targets": len(batch), "texts": sum(len(example["items"]) for example in batch), "steps": 1}

    return turn


def main() -> None:
    """Entry point."""
    arguments = Setting.parser("The training step of a tutorial.", users=8).parse_args()
    serve(lambda: loop(Setting.of(arguments)), arguments.serve)


if __name__ == "__main__":
    main()
