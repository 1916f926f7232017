"""The training step of somebody who knows what costs time: texts tokenised ahead, distinct items of a batch encoded
once and padded to its longest, all positions of a history asked in one pass. Plain Hugging Face model, plain peft.

    python -m benchmarks.loops.competent --corpus ml100k --strategy full

`--padding` and `--repeated` take single ideas back, or add one: the rungs of the ladder.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from transformers import AutoTokenizer

from benchmarks.loops.dense import DenseHead, DenseInterest, DenseRecommender
from benchmarks.loops.plain_model import PlainEncoder
from benchmarks.loops.setting import CLIP, Setting, batch, counts, data_and_folder, placed, plain_optimizer
from benchmarks.measuring.serving import Counts, Turn, serve
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import Batch

PADDINGS = ("longest", "128", "buckets")
BUCKET = 32


class Competent(nn.Module):
    """Encoder and dense maths around the tokens of the whole catalogue.

    padding: to the longest text of the batch, to 128, or to the longest of each `BUCKET` texts sorted by length.
    """

    def __init__(
        self, data: InterestDataModule, folder: Path, strategy: str, padding: str = "longest", dim: int | None = None
    ) -> None:
        super().__init__()
        self.padding = padding
        self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        self.tokens = self.tokenizer(list(data.texts.texts), truncation=True, max_length=64)["input_ids"]
        self.encoder = PlainEncoder(folder, strategy, dim)
        interest = DenseInterest(self.encoder.dim, len(data.log.behaviours), data.log.time is not None)
        self.dense = DenseRecommender(interest, DenseHead(), self.encoder.dim)

    def forward(self, asked: Batch) -> Tensor:
        return self.dense(self.encode(asked.items.ids.tolist()), asked)

    def encode(self, rows: list[int]) -> Tensor:
        """Vectors of the given texts, in their order."""
        if self.padding != "buckets":
            return self._padded(rows)
        order = sorted(range(len(rows)), key=lambda place: len(self.tokens[rows[place]]))
        parts = [self._padded([rows[place] for place in order[i : i + BUCKET]]) for i in range(0, len(order), BUCKET)]
        return torch.cat(parts)[torch.tensor(order).argsort()]

    def _padded(self, rows: list[int]) -> Tensor:
        how = {"padding": "max_length", "max_length": 128} if self.padding == "128" else {}
        padded = self.tokenizer.pad({"input_ids": [self.tokens[row] for row in rows]}, return_tensors="pt", **how)
        padded = padded.to(self.dense.mean.device)
        return self.encoder(padded["input_ids"], padded["attention_mask"])

    @torch.no_grad()
    def catalogue(self, data: InterestDataModule, at_once: int = 64) -> Tensor:
        """Vectors of all items, without dropout."""
        self.eval()
        n = data.log.n_items
        parts = [self.encode(list(range(i, min(i + at_once, n)))) for i in range(0, n, at_once)]
        self.train()
        return torch.cat(parts)


def made(setting: Setting, padding: str = "longest") -> tuple[InterestDataModule, Competent, dict[str, Any]]:
    """Data and model; the batches are those of our loop."""
    config = setting.config("full")
    data, folder = data_and_folder(config)
    model = Competent(data, folder, setting.strategy, padding, config["backbone"].get("dim"))
    return data, model.to(setting.device), config


def repeated(asked: Batch) -> Batch:
    """The batch with a text for each event and each candidate, equal or not."""
    events, mask = asked.events, asked.events.mask
    rows = torch.cat([events.slot[mask], asked.candidates.slot])
    slot = torch.zeros_like(events.slot)
    slot[mask] = torch.arange(int(mask.sum()))
    candidates = replace(asked.candidates, slot=torch.arange(int(mask.sum()), len(rows)))
    return replace(asked, items=asked.items.take(rows), events=replace(events, slot=slot), candidates=candidates)


def loop(setting: Setting, padding: str, again: bool) -> Turn:
    """A turn takes the step of one batch."""
    data, model, config = made(setting, padding)
    model.dense.mean.copy_(model.catalogue(data).mean(0))
    optimizer = plain_optimizer(model.parameters(), config)

    def turn(number: int) -> Counts:
        for _ in range(setting.repeat):
            asked = repeated(batch(data, number)) if again else batch(data, number)
            with setting.precision():
                loss = model(placed(asked, setting.device))
            loss.backward()
            clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad()
        return counts(asked, setting.repeat) | {"loss": float(loss.detach())}

    return turn


def main() -> None:
    """Entry point."""
    parser = Setting.parser("The training step of a competent person.", users=128)
    parser.add_argument("--padding", choices=PADDINGS, default="longest", help="up to which length (default: longest)")
    parser.add_argument("--repeated", action="store_true", help="encode a text as often as it occurs")
    arguments = parser.parse_args()
    serve(lambda: loop(Setting.of(arguments), arguments.padding, arguments.repeated), arguments.serve)


if __name__ == "__main__":
    main()
