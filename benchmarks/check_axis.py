"""On real MiniLM each choice of head and strategy changes its own quantity; one that changes nothing would be no row.

    python -m benchmarks.check_axis

Reads ml-latest-small where INTERESTLAB_DATA has it, else the simulated default. Nothing is trained: models stand as
they do before the first step.
"""

import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.checking import Check
from datamodules.interest_datamodule import InterestDataModule
from datamodules.types import Items
from experiments.config.compose import compose
from experiments.runs.provenance import ROOT
from experiments.wiring import build_data, build_module
from lightning_modules.evaluation import rank
from lightning_modules.interest_module import InterestModule
from lightning_modules.metrics.hit_rate import HitRateMetric
from lightning_modules.metrics.protocol import EvaluationProtocol
from lightning_modules.parts.encoder import Encoder, Trainable

STRATEGIES = sorted(file.stem for file in (ROOT / "conf" / "strategy").glob("*.yaml"))
TEXTS = 16
"""How many texts are encoded to see whether a perturbation shows."""
SIZE = 0.02
"""Deviation of the noise that perturbs a tensor; MiniLM's weights have about 0.05."""
WITHOUT_EFFECT = "attention.self.key.bias"
"""It adds the same to all of a query's logits, which a softmax does not see."""


def main() -> int:
    """Entry point."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    real = Path(os.environ.get("INTERESTLAB_DATA", ""), "ml-latest-small").is_dir()
    corpus = "datamodule=movielens" if real else "datamodule=simulator"
    check = Check(f"Does each choice of head and strategy change something? MiniLM, {corpus}")
    heads(check, corpus)
    strategies(check, corpus)
    return check.close()


def built(*words: str) -> tuple[InterestDataModule, InterestModule]:
    """The model of a composition before its first step, in eval mode."""
    config = compose(["backbone=minilm", "interest=graph", "trainer.precision=32-true", *words])
    torch.manual_seed(config["seed"])
    data = build_data(config)
    return data, build_module(config, data).eval()


def heads(check: Check, corpus: str) -> None:
    """Top-10 lists of `graph` and `dot` over the same vectors and weights, and how many pairs the cut removes."""
    lists = {}
    for name in ("graph", "dot"):
        data, module = built(corpus, "strategy=frozen", f"head={name}")
        lists[name] = top_lists(data, module)
        for cut in module.model.head.modules():
            if hasattr(cut, "share"):
                share = float(cut.share)
    differ = float((lists["graph"] != lists["dot"]).any(1).float().mean())
    check.hold("users whose first ten differ between graph and dot", f"{differ:.1%}", "> 0", differ > 0)
    check.hold("pairs of items that the cut removes", f"{share:.1%}", ">= 5%", share >= 0.05)


def top_lists(data: InterestDataModule, module: InterestModule) -> Tensor:
    """(Q, 10) recommended items of every test query."""
    module.scorer.prepare(data.items())
    protocol = EvaluationProtocol((HitRateMetric(10),), top_k=10)
    with torch.no_grad():
        ranked = [rank(module.scorer, block, data.log.n_items, protocol) for block in data.blocks("test")]
    return torch.cat([ranking.top_ids for ranking in ranked])


def strategies(check: Check, corpus: str) -> None:
    """What each strategy trains within MiniLM, and whether changing that changes a text's vector."""
    print(f"\n{'strategy':<14}{'tensors':>9}{'parameters':>13}{'of MiniLM':>11}")
    quantities = {}
    for name in STRATEGIES:
        data, module = built(corpus, f"strategy={name}", "head=graph")
        encoder = module.model.encoder
        own = [entry for entry in encoder.trainable() if entry.of_strategy]
        whole = sum(parameter.numel() for parameter in encoder.backbone.pretrained.parameters())
        count = sum(entry.parameter.numel() for entry in own)
        print(f"{name:<14}{len(own):>9}{count:>13,}{count / whole:>11.2%}", flush=True)
        schedule = frozenset((entry.name, entry.parameter.shape, entry.lr_scale, entry.starts) for entry in own)
        moved = perturbed(check, name, encoder, own, texts(data))
        quantities[name] = (schedule, encoder.plan.regulariser is None, tuple(moved.flatten().tolist()))
    distinct = len(set(quantities.values()))
    what = "different sets, rates and starts of trained tensors, and vectors after the same noise"
    check.hold(what, distinct, f"{len(STRATEGIES)}", distinct == len(STRATEGIES))


def perturbed(check: Check, name: str, encoder: Encoder, own: list[Trainable], items: Items) -> Tensor:
    """Noise on all that trains, then on each tensor alone from there (a LoRA factor shows only where the other one is
    not zero). Returns the vectors after the former."""
    before = vectors(encoder, items)
    if not own:
        check.hold(f"{name}: trains nothing of MiniLM", len(own), "0 tensors", name == "frozen")
        return before
    torch.manual_seed(1)  # the same noise for strategies that train alike tensors
    noise(own)
    start = vectors(encoder, items)
    check.hold(
        f"{name}: a perturbation moves the vectors by",
        f"{distance(before, start):.2g}",
        "> 0",
        distance(before, start) > 0,
    )
    silent = [entry.name for entry in own if distance(start, moved_alone(encoder, entry, items)) < 1e-6]
    unexpected = [tensor for tensor in silent if not tensor.endswith(WITHOUT_EFFECT)]
    known = len(silent) - len(unexpected)
    found = f"{len(own) - len(silent)} of {len(own)} move them alone" + (
        f", {known} key biases cannot" if known else ""
    )
    check.hold(f"{name}: each tensor has an effect", found, "all but key biases", not unexpected)
    return start


def moved_alone(encoder: Encoder, entry: Trainable, items: Items) -> Tensor:
    """Vectors with noise on one tensor, which is put back afterwards."""
    kept = entry.parameter.detach().clone()
    noise([entry])
    found = vectors(encoder, items)
    with torch.no_grad():
        entry.parameter.copy_(kept)
    return found


def noise(entries: list[Trainable]) -> None:
    """Add normal noise in place."""
    with torch.no_grad():
        for entry in entries:
            entry.parameter.add_(SIZE * torch.randn_like(entry.parameter))


@torch.no_grad()
def vectors(encoder: Encoder, items: Items) -> Tensor:
    """Vectors of a few texts, through all layers."""
    return encoder.catalogue(items)


def distance(one: Tensor, other: Tensor) -> float:
    """Largest difference of an entry."""
    return float((one - other).abs().max())


def texts(data: InterestDataModule) -> Items:
    """The first few texts as tokens, without vectors made beforehand."""
    rows = torch.arange(TEXTS)
    return Items(data.item_of_row[rows], data.tokens.take(rows))


if __name__ == "__main__":
    sys.exit(main())
