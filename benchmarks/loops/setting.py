"""What all loops of a comparison share: the corpus, what trains, the batches and the optimiser."""

import argparse
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning_fabric.utilities import move_data_to_device
from torch import nn
from transformers.utils import logging as transformers_log

from benchmarks.loops.corpora import corpus_words
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import Batch, Items
from experiments.config.compose import compose
from experiments.config.pretrained import model_folder, pretrained_names
from experiments.quiet import silence
from experiments.wiring import build_data

CLIP = 1.0
STRATEGIES = ("full", "lora", "top_k", "frozen")
COMPOSITION = ("backbone=minilm", "interest=graph", "head=graph", "objective=next", "optimizer.lr=1e-5")
"""Of every loop here. The rate is small enough for all strategies; it costs no time."""
Given = TypeVar("Given")


@dataclass(frozen=True)
class Setting:
    """What a loop works on. repeat: how often a turn takes its step, where one alone is too short to be timed. device:
    "cpu" or "cuda". half: whether the forward pass is made under autocast to bfloat16."""

    corpus: str
    strategy: str
    users: int
    repeat: int = 1
    words: tuple[str, ...] = ()
    device: str = "cpu"
    half: bool = False

    def config(self, strategy: str | None = None) -> dict[str, Any]:
        """The configuration that our program would run."""
        chosen = strategy or self.strategy
        more = ["strategy.k=1"] if chosen == "top_k" else []
        users = f"datamodule.users_per_step={self.users}"
        words = [*corpus_words(self.corpus), *COMPOSITION, users, f"strategy={chosen}", *more, *self.words]
        return compose(words)

    def precision(self) -> AbstractContextManager[Any]:
        """What a forward pass is made in."""
        return torch.autocast(self.device, torch.bfloat16) if self.half else nullcontext()

    @staticmethod
    def parser(about: str, users: int) -> argparse.ArgumentParser:
        """Arguments of a loop's program."""
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--corpus", default="ml100k", choices=("ml100k", "mind", "beauty"))
        parser.add_argument("--strategy", default="full", choices=STRATEGIES)
        parser.add_argument("--users", type=int, default=users, help=f"in a step (default: {users})")
        parser.add_argument("--repeat", type=int, default=1, help="how often a turn takes its step (default: 1)")
        parser.add_argument(
            "--set", nargs="*", default=[], metavar="KEY=VALUE", help="further words for the composition"
        )
        parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
        return parser

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Setting":
        """From a program's arguments."""
        quiet()
        return cls(arguments.corpus, arguments.strategy, arguments.users, arguments.repeat, tuple(arguments.set))


def quiet() -> None:
    """No progress bars, and the same numbers each time."""
    silence()
    transformers_log.set_verbosity_error()
    transformers_log.disable_progress_bar()
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)


def as_in_a_run(config: dict[str, Any]) -> None:
    """What a run asks of PyTorch: indexing adds up in a fixed order, new memory is not written twice."""
    torch.use_deterministic_algorithms(bool(config["trainer"]["deterministic"]), warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def data_and_folder(config: dict[str, Any]) -> tuple[InterestDataModule, Path]:
    """The data module, ready, and the folder of the language model."""
    data = build_data(config)
    data.prepare_data()
    name = next(iter(pretrained_names(config).values()))
    return data, model_folder(name, Path(config["cache_dir"]))


def placed(record: Given, device: str) -> Given:
    """A record of tensors on the device, moved there as a run moves a batch; the host's own stays as it is."""
    return record if device == "cpu" else move_data_to_device(record, torch.device(device))


def catalogue(data: InterestDataModule, device: str) -> Items:
    """All rows on the device, but for states, which the encoder fetches chunk by chunk, as in a run."""
    items = data.items()
    return replace(placed(replace(items, states=None), device), states=items.states)


def batch(data: InterestDataModule, number: int) -> Batch:
    """Step `number` of the first epoch, the same for every loop."""
    loader = data.train_dataloader()
    return loader.dataset[0, number % len(loader)]


def plain_optimizer(parameters: Iterable[nn.Parameter], config: dict[str, Any]) -> torch.optim.AdamW:
    """AdamW as people write it, with the rates of the configuration."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    node = config["optimizer"]
    return torch.optim.AdamW(trained, lr=node["lr"], weight_decay=node["weight_decay"])


def counts(found: Batch, repeat: int = 1) -> dict[str, float]:
    """What a step is counted by. tokens: real ones that a language model reads; squares: sum of texts' lengths
    squared."""
    lengths = torch.zeros(1) if found.items.tokens is None else found.items.tokens.lengths()
    read = {"tokens": int(lengths.sum()), "squares": int((lengths**2).sum())}
    each = {"targets": len(found.targets.column), "texts": len(found.items.ids), "steps": 1} | read
    return {name: float(repeat * count) for name, count in each.items()}
