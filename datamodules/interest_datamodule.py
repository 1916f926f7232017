"""The one LightningDataModule: a source, how its log is cut and asked, and whole batches of it."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batching.batches import Collator
from datamodules.batching.examples import CandidateSampler, Examples, Objective
from datamodules.batching.loaders import ResumableLoader, TrainingSteps, block_loader
from datamodules.batching.log import EventLog
from datamodules.batching.query_blocks import QueryBlocks, group_queries
from datamodules.corpus import DataError, Source
from datamodules.few_shot import FewShot
from datamodules.preparing.preparation import Filters, prepare
from datamodules.preparing.prepared import Prepared, Split, Splitter
from datamodules.text.template import TemplateText, TextTable
from datamodules.text.tokens import tokenise
from datamodules.types import Items, QueryBlock, Ragged


class InterestDataModule(pl.LightningDataModule):
    """source -> filters -> split -> objective and candidates -> batches; blocks of queries for evaluation.

    YAML sets source, filters, users_per_step (examples that make one optimizer step of one process), num_workers and
    few_shot (which training events are labels, see `datamodules.few_shot`; null: all of them). Code supplies the rest:
    the chosen split, text, objective and candidates, `root` (where prepared data is kept), `tokenizer` (the folder of
    the language model that reads, None where none does) and the seed.
    """

    def __init__(
        self,
        source: Source,
        split: Splitter,
        objective: Objective,
        candidates: CandidateSampler,
        root: Path,
        text: TemplateText | None = None,
        tokenizer: Path | None = None,
        filters: Filters = Filters(),  # noqa: B008  # frozen
        few_shot: FewShot | None = None,
        users_per_step: int = 128,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if users_per_step < 1:
            raise ValueError(f"users_per_step is {users_per_step}; a step needs at least 1 user")
        self.source, self.filters, self.splitter, self.text = source, filters, split, text
        self.few_shot = few_shot
        self.objective, self.candidates, self.root, self.tokenizer = objective, candidates, root, tokenizer
        self.users_per_step, self.num_workers, self.seed = users_per_step, num_workers, seed
        self.validation_sample: int | None = None
        self.features: Tensor | None = None
        self.states: Ragged | None = None

    def prepare_data(self) -> None:
        """Prepare and tokenise, once per machine; both keep what they made on disk."""
        prepare(self.source, self.filters, self.root)
        if self.tokenizer is not None:
            _ = self.tokens

    @cached_property
    def prepared(self) -> Prepared:
        """The prepared corpus."""
        return prepare(self.source, self.filters, self.root)

    @cached_property
    def split_of(self) -> Split:
        """Which events train, and what is asked in validation and test. Raises `DataError` where few labels leave
        nothing to choose an epoch by."""
        whole = self.splitter(self.prepared)
        if self.few_shot is None:
            return whole
        few = self.few_shot(self.prepared, whole)
        if not len(few.queries["valid"].user):
            raise DataError(
                "validation asks none of the users that few_shot leaves, so no epoch can be chosen: leave more, or "
                "draw others (datamodule.few_shot.draw)"
            )
        return few

    @cached_property
    def log(self) -> EventLog:
        """All events, with what was fitted on the training ones applied."""
        return EventLog.of(self.prepared, self.split_of)

    @cached_property
    def examples(self) -> Examples:
        """What training asks. Raises `DataError` where that is nothing."""
        made = self.objective(self.log.offsets[:-1], self.log.train_stop)
        if not len(made):
            raise DataError(
                f"no user of {self.prepared.name!r} has 2 training events, so training can ask nothing: loosen the "
                "filters, choose another split or leave more labels to few_shot"
            )
        return made

    @cached_property
    def item_counts(self) -> Tensor:
        """(N,) training counts."""
        return self.log.training().counts()

    @cached_property
    def texts(self) -> TextTable:
        """What a language model reads of each item, and of each behaviour that is put into words."""
        if self.text is None:
            raise ValueError("this composition has text=null, but a language model wants to read; use text=template")
        return self.text(self.prepared)

    @cached_property
    def tokens(self) -> Ragged:
        """Word pieces of every row of the text table."""
        if self.tokenizer is None or self.text is None:
            raise ValueError("no tokenizer was given: nothing in this composition reads text")
        stored = tokenise(self.texts.texts, self.tokenizer, self.text.max_tokens, self.root)
        return Ragged(torch.from_numpy(np.array(stored.values)), torch.from_numpy(np.array(stored.offsets)))

    @cached_property
    def item_of_row(self) -> Tensor:
        """(R,) the catalogue item of each text row; the first N rows are the catalogue itself."""
        return torch.arange(self.log.n_items) if self.tokenizer is None else torch.from_numpy(np.array(self.texts.item))

    @cached_property
    def row(self) -> np.ndarray:
        """(behaviours, N) text row of a history event."""
        if self.tokenizer is not None:
            kinds = [self.prepared.behaviours.index(name) for name in self.log.behaviours]
            return np.asarray(self.texts.row)[kinds]
        return np.broadcast_to(np.arange(self.log.n_items), (len(self.log.behaviours), self.log.n_items))

    def items(self, rows: np.ndarray | None = None) -> Items:
        """The given text rows, or all of them: with tokens, or with the features or states that were made of them
        beforehand. Rows ascend; as many as there are mean all, and nothing is copied."""
        whole = Items(self.item_of_row, self._read, self.states, self.features)
        return whole if rows is None or len(rows) == len(whole) else whole.take(torch.from_numpy(rows))

    @property
    def _read(self) -> Ragged | None:
        """The tokens, where a model reads them still."""
        made = self.features is not None or self.states is not None
        return None if made or self.tokenizer is None else self.tokens

    def blocks(self, split: str, sample: int | None = None) -> QueryBlocks:
        """Evaluation queries of "valid" or "test", all or a fixed sample of so many."""
        queries, length = self.split_of.queries[split], self.objective.history_length
        truth = self.prepared.truth
        first = queries.events[queries.offsets[:-1]]
        return QueryBlocks(
            log=self.log,
            queries=queries,
            row=self.row,
            history_length=length,
            members=group_queries(self.log, queries, length, sample),
            truth=None if truth is None else truth.mixture[self.prepared.row[first]],
        )

    def train_dataloader(self) -> ResumableLoader:
        """Steps of this process."""
        rank, world = self._place()
        collator = Collator(self.log, self.examples, self.row, self.candidates, self.item_counts.numpy(), self.items)
        steps = TrainingSteps(collator, self.users_per_step, self.seed, world)
        return ResumableLoader(steps, rank, world, self.num_workers, self._on_gpu())

    def steps_per_epoch(self) -> int:
        """Batches that this process gets in an epoch."""
        return len(self.train_dataloader())

    def val_dataloader(self) -> DataLoader[QueryBlock]:
        """Validation blocks of this process; `validation_sample` bounds how many queries are ranked."""
        return block_loader(self.blocks("valid", self.validation_sample), *self._place(), self.num_workers)

    def test_dataloader(self) -> DataLoader[QueryBlock]:
        """Test blocks of this process."""
        return block_loader(self.blocks("test"), *self._place(), self.num_workers)

    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
