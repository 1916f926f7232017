"""What a few users get, and why: the tables and pictures that show a model at work."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import wandb

from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import QueryBlock, Ranking
from experiments.asking.answers import Answer, answer
from experiments.asking.catalogue import Catalogue
from experiments.asking.questions import of_users
from experiments.explaining.record import Record, make_record
from lightning_modules.evaluation import rank
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.scorers.trained import TrainedScorer
from lightning_modules.types import Scorer

USERS, LENGTH, REASONS = 8, 10, 3
"""How many users, how long their lists, and how many interests are named as the reason of an item."""

RECOMMENDED = ("user", "place", "item", "title", "score", "because")
INTERESTS = ("user", "interest", "event", "behaviour", "weight", "group")
EDGES = ("user", "earlier", "later", "cosine")


@dataclass(frozen=True)
class Table:
    """Names of the columns, and rows of their values."""

    columns: Sequence[str]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class Sample:
    """Lists of some users, the same ones in every run over the same corpus; records: of models with interests alone."""

    answers: tuple[Answer, ...]
    records: tuple[Record, ...]

    @classmethod
    def of(cls, name: str, scorer: Scorer, data: InterestDataModule) -> "Sample":
        """Ask a scorer that has read the catalogue. name: the run's."""
        chosen = np.random.default_rng(0).permutation(len(data.prepared.users))[:USERS]
        catalogue = Catalogue(data.prepared)

        def ranker(block: QueryBlock, protocol: EvaluationProtocol) -> Ranking:
            return rank(scorer, block, data.log.n_items, protocol)

        questions = of_users(data, [data.prepared.users[user] for user in np.sort(chosen)])
        answers = answer(ranker, questions, catalogue, LENGTH)
        if not isinstance(scorer, TrainedScorer):
            return cls(tuple(answers), ())
        records = (make_record(name, scorer.model, scorer.vectors, data, catalogue, one) for one in answers)
        return cls(tuple(answers), tuple(records))

    def tables(self) -> dict[str, Table]:
        """What is recommended and because of what; of models with interests, these and the graph's edges."""
        if not self.records:
            return {"recommendations": Table(RECOMMENDED, [row for one in self.answers for row in _listed(one, {})])}
        explained = zip(self.answers, self.records, strict=True)
        return {
            "recommendations": Table(
                RECOMMENDED, [row for one, why in explained for row in _listed(one, _because(why))]
            ),
            "interests": Table(INTERESTS, [row for why in self.records for row in _interests(why)]),
            "edges": Table(EDGES, [row for why in self.records for row in _edges(why)]),
        }


def log_sample(run: Any, sample: Sample) -> None:
    """Into W&B's run: the tables, and where matplotlib is installed each user's interest graph as a picture."""
    for name, table in sample.tables().items():
        run.log({f"sample/{name}": wandb.Table(columns=list(table.columns), data=list(map(list, table.rows)))})
    if sample.records and find_spec("matplotlib"):
        with tempfile.TemporaryDirectory() as folder:
            run.log({"sample/graphs": list(_pictures(sample.records, Path(folder)))})


def _pictures(records: Sequence[Record], folder: Path) -> Iterator[Any]:
    from experiments.explaining.figure import save_figure

    for number, record in enumerate(records):
        path = folder / f"{number}.png"
        save_figure(record, path)
        yield wandb.Image(str(path), caption=f"user {record.user}")


def _listed(one: Answer, because: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    for got in one.recommended:
        yield one.user, got.place, got.item, got.title, got.score, because.get(got.item, "")


def _because(record: Record) -> dict[str, str]:
    """By item, the interests that gave most to it, as "title +0.21"."""
    return {reason.item: _most(record, reason.contributions) for reason in record.reasons}


def _most(record: Record, given: Sequence[float]) -> str:
    places = sorted(range(len(given)), key=lambda interest: -given[interest])[:REASONS]
    return "; ".join(f"{record.interests[interest].title} {given[interest]:+.3g}" for interest in places)


def _interests(record: Record) -> Iterator[tuple[Any, ...]]:
    for interest in record.interests:
        event = None if interest.event is None else record.events[interest.event]
        yield (
            record.user,
            interest.title,
            interest.event,
            event.behaviour if event else "",
            interest.weight,
            interest.group,
        )


def _edges(record: Record) -> Iterator[tuple[Any, ...]]:
    for edge in record.edges:
        yield record.user, record.events[edge.earlier].title, record.events[edge.later].title, edge.cosine
