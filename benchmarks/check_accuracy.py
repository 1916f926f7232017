"""Is any accuracy paid for the speed? Our loop and plain dense ones end at the same metrics.

    python -m benchmarks.check_accuracy [--only ml-100k] [--epochs 1]

Both begin with the same weights, see the same batches and take the same optimizer steps; the slow one pads its texts,
encodes them with Hugging Face's own forward pass, keeps no states and scores everything at once in plain torch (modules
`loops.competent`, `loops.dense_hybrid`). Both draw the masks of dropout from the same random state: those of the hybrid
are then the same, and its metrics may differ by rounding alone; packed texts get other masks than padded ones, so
metrics of a tuned language model differ as those of two seeds do. All items are ranked by the same code, from each
model's own scores.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from benchmarks.checking import Check, data_dir
from benchmarks.loops.competent import Competent
from benchmarks.loops.dense import DenseRecommender
from benchmarks.loops.dense_hybrid import DenseHybrid, plain
from benchmarks.loops.setting import CLIP, as_in_a_run, data_and_folder, plain_optimizer, quiet
from benchmarks.rows.gradients import hand_over
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import Batch, Items, QueryBlock, TrainingLog
from experiments.config.compose import compose
from experiments.wiring import build_module
from lightning_modules.evaluation import evaluate
from lightning_modules.interest_module import InterestModule
from lightning_modules.parameter_groups import parameter_groups
from lightning_modules.types import Scorer

SEEDS = (0, 1, 2)
METRICS = ("hr@10", "ndcg@10")
CONFIDENCE = 0.95
HYBRID = ("experiment=interest_graph_hybrid", "datamodule.users_per_step=32", "trainer.max_epochs=6")
TUNED = ("backbone=minilm", "interest=graph", "head=graph", "trainer.max_epochs=1")


@dataclass(frozen=True)
class Case:
    """A composition that both ways train. strategy: of the language model, None for the hybrid's stored vectors."""

    name: str
    words: tuple[str, ...]
    strategy: str | None = None


CASES = (
    Case("ml-100k, hybrid", ("datamodule=atomic", *HYBRID)),
    Case("latest-small, hybrid", ("datamodule=movielens", *HYBRID)),
    Case(
        "ml-100k, LoRA",
        ("datamodule=atomic", *TUNED, "strategy=lora", "optimizer.lr=2e-3"),
        strategy="lora",
    ),
    Case(
        "latest-small, top layer",
        ("datamodule=movielens", *TUNED, "strategy=top_k", "strategy.k=1", "optimizer.lr=5e-4"),
        strategy="top_k",
    ),
)


class DenseScorer:
    """Ranks by the dense maths of a plain model. `catalogue`: its vectors of all items, made once per pass."""

    def __init__(self, dense: DenseRecommender, catalogue: Callable[[], Tensor]) -> None:
        self.dense, self.catalogue = dense, catalogue
        self.vectors = torch.empty(0)

    def fit(self, train: TrainingLog, items: Items) -> None:
        """The model arrives trained."""

    @torch.no_grad()
    def prepare(self, items: Items) -> None:
        """Encode all items and centre them."""
        vectors = self.catalogue()
        self.dense.eval()
        self.dense.mean.copy_(vectors.mean(0))
        self.vectors = vectors - self.dense.mean

    @torch.no_grad()
    def scores(self, block: QueryBlock, start: int, stop: int) -> Tensor:
        """(B, C), from the block's events on: nothing is kept."""
        nodes, weights = self.dense.interest(self.vectors[block.events.slot], block.events, block.queries)
        return self.dense.head(nodes, weights, self.vectors[start:stop], torch.arange(start, stop))[:, 0]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.check_accuracy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="WORD", default="", help="cases whose name holds it")
    parser.add_argument("--epochs", type=int, help="of every model; for a trial of this program")
    chosen = parser.parse_args()
    data_dir()
    quiet()
    shorter = () if chosen.epochs is None else (f"trainer.max_epochs={chosen.epochs}",)
    check = Check("Do our loop and a plain dense one end at the same metrics?")
    for case in (case for case in CASES if chosen.only in case.name):
        found = [both(Case(case.name, (*case.words, *shorter, f"seed={seed}"), case.strategy)) for seed in SEEDS]
        for metric in METRICS:
            ours, slow = (np.array([each[way][metric] for each in found]) for way in (0, 1))
            difference, noise = float((ours - slow).mean()), seed_noise(ours, slow)
            shown = f"{ours.mean():.4f} and {slow.mean():.4f}, difference {difference:+.4f}"
            what = f"{case.name}, {metric}, ours and slow over {len(SEEDS)} seeds"
            check.hold(what, shown, f"within the noise of seeds, {noise:.4f}", abs(difference) <= noise)
    return check.close()


def both(case: Case) -> tuple[dict[str, float], dict[str, float]]:
    """Test metrics of ours, then of the slow way, with one seed."""
    config = compose(case.words)
    as_in_a_run(config)
    torch.manual_seed(config["seed"])
    data, folder = data_and_folder(config)
    module = build_module(config, data)
    module.model.calibrate(data.items(), data.log.n_items)
    if case.strategy is None:
        slow: DenseHybrid | Competent = plain(data, module, next(iter(data.train_dataloader())))
    else:
        slow = Competent(data, folder, case.strategy)
        hand_over(module, slow)
    loader, epochs = data.train_dataloader(), config["trainer"]["max_epochs"]

    def train(model: nn.Module, loss: Callable[..., Tensor], optimizer: torch.optim.Optimizer) -> None:
        torch.manual_seed(config["seed"])
        model.train()
        schedule = module.scheduler_for(optimizer, total_steps=epochs * len(loader))
        for batch in epochs_of(loader, epochs):
            loss(batch).backward()
            clip_grad_norm_([p for p in model.parameters() if p.requires_grad], CLIP)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()

    train(
        module,
        lambda batch: module.model.loss(batch, module.loss),
        module.optimizer_for(parameter_groups(module.model)),
    )
    train(slow, slow, plain_optimizer(slow.parameters(), config))
    ranked = (module.scorer, DenseScorer(slow.dense, lambda: slow.catalogue(data)))
    ours, theirs = (quality(scorer, data, module) for scorer in ranked)
    print(f"  {case.name}, seed {config['seed']}: ours {ours}, slow {theirs}", flush=True)
    return ours, theirs


def epochs_of(loader: Iterable[Batch], epochs: int) -> Iterator[Batch]:
    """The batches of all epochs, each in its own order."""
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        yield from loader


def quality(scorer: Scorer, data: InterestDataModule, module: InterestModule) -> dict[str, float]:
    """Test metrics, under the protocol of the run."""
    scorer.prepare(data.items())
    table = evaluate(scorer, data.blocks("test"), data.log.n_items, module.protocol)
    return {metric: float(table[metric].mean()) for metric in METRICS}


def seed_noise(ours: np.ndarray, slow: np.ndarray) -> float:
    """Half the interval of a difference of two means, from the spread of each over seeds (Student's t)."""
    spread = np.sqrt((ours.var(ddof=1) + slow.var(ddof=1)) / 2)
    freedom = len(ours) + len(slow) - 2
    return float(student.ppf((1 + CONFIDENCE) / 2, freedom) * spread * np.sqrt(1 / len(ours) + 1 / len(slow)))


if __name__ == "__main__":
    sys.exit(main())
