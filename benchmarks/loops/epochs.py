"""Whole epochs of one of our experiments: a turn is one epoch. `--rank` says NDCG@10 on the test items after each.

    python -m benchmarks.loops.epochs experiment=sasrec datamodule=atomic trainer.max_epochs=3 --rank

The words are those of `python -m experiments.train`. `--steps` takes a slice of each epoch.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from torch.nn.utils import clip_grad_norm_

from benchmarks.loops.setting import CLIP, as_in_a_run, quiet
from benchmarks.measuring.serving import Counts, Turn, serve
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import Batch
from experiments.config.compose import compose
from experiments.wiring import build_data, build_module
from lightning_modules.evaluation import evaluate
from lightning_modules.interest_module import InterestModule
from lightning_modules.metrics.ndcg import NdcgMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parameter_groups import parameter_groups


def made(words: Sequence[str]) -> tuple[InterestDataModule, InterestModule, int]:
    """Data, module and the number of epochs that the words ask for."""
    quiet()
    config = compose(words)
    as_in_a_run(config)
    data = build_data(config)
    data.prepare_data()
    module = build_module(config, data)
    module.model.calibrate(data.items(), data.log.n_items)
    return data, module, config["trainer"]["max_epochs"]


def loop(words: Sequence[str], steps: int, ranked: bool) -> Turn:
    """A turn trains one epoch, with the schedule of the whole run."""
    data, module, epochs = made(words)
    optimizer = module.optimizer_for(parameter_groups(module.model))
    loader = data.train_dataloader()
    schedule = module.scheduler_for(optimizer, total_steps=epochs * len(loader))
    trained = [p for p in module.parameters() if p.requires_grad]

    def step(batch: Batch) -> int:
        loss = module.model.loss(batch, module.loss)
        loss.backward()
        clip_grad_norm_(trained, CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        return len(batch.targets.column)

    def turn(number: int) -> Counts:
        module.train()
        loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
        limit = min(steps or len(loader), len(loader))
        targets = sum(step(batch) for batch in first(loader, limit))
        share = limit / len(loader)
        counted: Counts = {"targets": targets, "epochs": share, "steps": limit}
        return {**counted, "ndcg@10": partial(quality, data, module)} if ranked else counted

    return turn


def first(loader: Iterable[Batch], limit: int) -> Iterator[Batch]:
    """The first batches of an epoch."""
    return islice(iter(loader), limit)


def quality(data: InterestDataModule, module: InterestModule) -> float:
    """NDCG@10 on the test items; whether the history is masked, the words say."""
    module.scorer.prepare(data.items())
    protocol = EvaluationProtocol((NdcgMetric(10),), mask_history=module.protocol.mask_history, top_k=10)
    return float(evaluate(module.scorer, data.blocks("test"), data.log.n_items, protocol)["ndcg@10"].mean())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Epochs of one of our experiments.")
    parser.add_argument("words", nargs="+", help="as for experiments.train")
    parser.add_argument("--steps", type=int, default=0, help="of an epoch (default: all)")
    parser.add_argument("--rank", action="store_true", help="all test queries after each epoch")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: loop(arguments.words, arguments.steps, arguments.rank), arguments.serve)


if __name__ == "__main__":
    main()
