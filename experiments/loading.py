"""Open a run that was trained: its model, its data, its results, and what a person asks of it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from datamodules.corpus import DataError
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import QueryBlock, Ranking
from experiments.asking.answers import Answer, Recommended, answer
from experiments.asking.approximate import retriever, sample
from experiments.asking.catalogue import Catalogue, listed
from experiments.asking.history import of_keys, of_titles
from experiments.asking.questions import Questions, of_histories, of_users
from experiments.config.ranker import trains
from experiments.explaining.record import Record, make_record
from experiments.fitting import load_weights
from experiments.frozen_layers import read_once
from experiments.runs.read import Run, read_record, read_run
from experiments.wiring import build_data, build_module, build_scorer
from lightning_modules.evaluation import rank
from lightning_modules.interest_module import InterestModule
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.recommender import Recommender
from lightning_modules.retrieval import Recall, Retriever, mean_recall, require_usearch
from lightning_modules.scorers.oracle import OracleScorer
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.types import Scorer


@dataclass(frozen=True)
class LoadedRun:
    """A run in memory, on the CPU, in eval mode.

    results: what its folder says: metrics, intervals, cost. module: None where the scorer has a closed form. The
    catalogue is encoded when it is first asked for, which takes a while with a language model.
    """

    folder: Path
    config: dict[str, Any]
    results: Run
    data: InterestDataModule
    module: InterestModule | None
    fitted: Scorer

    @property
    def model(self) -> Recommender:
        """The recommender as plain torch. Raises `ValueError` where nothing was trained."""
        if self.module is None:
            raise ValueError(
                f"{self.folder.name} has no model with interests: {type(self.fitted).__name__} is closed-form"
            )
        return self.module.model

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items, by key and title."""
        return Catalogue(self.data.prepared)

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer with the catalogue encoded, ready to rank."""
        self.fitted.prepare(self.data.items())
        return self.fitted

    @cached_property
    def retriever(self) -> Retriever:
        """Approximate lists, for large catalogues. Raises `ValueError` where the run has no model with interests or the
        extra `retrieval` is not installed, and `DataError` where the index in the cache is damaged."""
        _ = self.model  # it and the package are asked for before the catalogue is encoded
        require_usearch()
        scorer = self.scorer
        assert isinstance(scorer, TrainedScorer)
        return retriever(scorer, Path(self.config["cache_dir"]))

    def recommend(
        self,
        user: str | None = None,
        *,
        items: Sequence[str] | None = None,
        titles: Sequence[str] | None = None,
        k: int = 10,
        repeat: bool = False,
    ) -> tuple[Recommended, ...]:
        """The k best items for a user of the corpus, or for a history of item ids or titles, oldest first.

        repeat: whether items of the history may be recommended. Raises `ValueError` (`DataError`) for a user, title or
        list of items that the corpus does not know, and warns of single items that it lacks.
        """
        return self.answers(self.question(user, items, titles), k, repeat)[0].recommended

    def explain(
        self,
        user: str | None = None,
        *,
        items: Sequence[str] | None = None,
        titles: Sequence[str] | None = None,
        k: int = 5,
    ) -> Record:
        """Interests, their weights over time, the graph, and what each interest gave to the k best items.

        Raises as `recommend` does, and `ValueError` where the run has no model with interests.
        """
        return self.record(self.answers(self.question(user, items, titles), k)[0])

    def question(
        self, user: str | None = None, items: Sequence[str] | None = None, titles: Sequence[str] | None = None
    ) -> Questions:
        """The question for exactly one of the three. Raises `ValueError` for none or several."""
        if sum(given is not None for given in (user, items, titles)) != 1:
            raise ValueError("say who asks by exactly one of user, items, titles")
        if user is not None:
            return of_users(self.data, [str(user)])
        if titles is not None:
            return of_histories(self.data, [of_titles(titles, self.catalogue)])
        history = of_keys([str(key) for key in items or ()], self.catalogue)
        if history.unknown:
            warnings.warn(
                f"left out of the history, not in {self.data.prepared.name}: {listed(history.unknown)}", stacklevel=3
            )
        return of_histories(self.data, [history])

    def answers(
        self, questions: Questions, k: int = 10, repeat: bool = False, approximate: bool = False
    ) -> list[Answer]:
        """Recommended lists of many; approximate: by `retriever`. Raises `ValueError` where the scorer cannot know the
        user's interests."""
        if isinstance(self.fitted, OracleScorer) and questions.blocks.truth is None:
            raise ValueError(
                "the oracle reads the interests that a simulator drew from, and a history typed by hand has none; "
                "ask for a user of the corpus"
            )
        return answer(self.retriever.rank if approximate else self._exactly, questions, self.catalogue, k, repeat)

    def recall(self, k: int = 10, repeat: bool = False) -> Recall:
        """Of the exact lists of a sample of users, the share that the approximate ones hold."""
        questions = of_users(self.data, sample(self.data.prepared.users))
        found, exact = (
            torch.stack([one.ranking.top_ids[one.row] for one in self.answers(questions, k, repeat, approximate)])
            for approximate in (True, False)
        )
        return mean_recall(found, exact)

    def _exactly(self, block: QueryBlock, protocol: EvaluationProtocol) -> Ranking:
        return rank(self.scorer, block, self.data.log.n_items, protocol)

    def record(self, answered: Answer) -> Record:
        """Why these items. Raises `ValueError` where the run has no model with interests."""
        model, scorer = self.model, self.scorer
        assert isinstance(scorer, TrainedScorer)
        return make_record(self.folder.name, model, scorer.vectors, self.data, self.catalogue, answered)


def load(run_dir: str | Path, checkpoint: str | Path | None = None) -> LoadedRun:
    """Rebuild a run from its config.json and load its best checkpoint, or another one of it.

    Raises `DataError`, naming the file, where folder or checkpoint are absent or damaged, the checkpoint is of another
    model, or the data are no longer those that the run saw.
    """
    folder = Path(run_dir).expanduser().absolute()
    results = read_run(folder)
    config = dict(results.config) or read_record(folder / "config.json")
    if "adaptation" in config:
        raise DataError("adapted a language model, which recommends nothing by itself; name it as a parent", folder)
    data = build_data(config)
    _require_same_data(results, data)
    if not trains(config):
        scorer = build_scorer(config, data)
        scorer.fit(data.log.training(), data.items())
        return LoadedRun(folder, config, results, data, None, scorer)
    path = folder / "best.ckpt" if checkpoint is None else Path(checkpoint).expanduser()
    if not path.is_file():
        raise DataError(f"no such checkpoint; the run is {results.status}", path)
    module = build_module(config, data, frozen=read_once)
    _load_weights(module, path)
    module.eval()
    return LoadedRun(folder, config, results, data, module, module.scorer)


def _require_same_data(results: Run, data: InterestDataModule) -> None:
    seen = results.provenance.get("data_digest")
    if seen is not None and seen != data.prepared.digest:
        raise DataError(
            f"the run saw data of digest {seen}, and {data.prepared.name} is prepared as {data.prepared.digest} now; "
            "bring back the raw files or train anew",
            results.folder,
        )


def _load_weights(module: InterestModule, path: Path) -> None:
    try:
        load_weights(module, path)
    except (RuntimeError, EOFError, UnpicklingError, KeyError) as error:
        raise DataError("is no checkpoint of a run, or was cut short", path) from error
    except ValueError as error:
        raise DataError(str(error), path) from error
