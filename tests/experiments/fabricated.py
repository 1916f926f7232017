"""Run folders and manifests as a sweep leaves them, with numbers chosen by the test."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.runs.provenance import source_digest

NDCG = {"a": (0.9, 0.1, 0.5, 0.5, 0.8, 0.2), "b": (0.4, 0.1, 0.3, 0.2, 0.4, 0.1)}


PAPER = """# a paper
data_digests: ["dddddddddddddddd"]
protocol:
  split: {_target_: datamodules.splits.leave_one_out.LeaveOneOutSplit}
  metrics._target_: lightning_modules.metrics.protocol.EvaluationProtocol
  metrics.mask_history: true
tolerance: 0.05
remark: ordered by day
rows:
  - model: Giant
    metrics: {test/hr@10: 0.99, test/ndcg@10: {mean: 0.98, deviation: 0.01}}
    source: A & B (2020), table 3
  - model: Small
    metrics: {test/ndcg@10: 0.52}
    source: C (2021)
    remark: under-tuned
    ours: {strategy: lora, head: graph, head.dropout: 0.3}
"""
"""A file of published rows on the data and by the protocol of `write_run`'s runs, of which lora's are Small."""


def config(strategy="lora", seed=0):
    return {
        "seed": seed,
        "datamodule": {
            "_target_": "datamodules.interest_datamodule.InterestDataModule",
            "source": {
                "_target_": "datamodules.sources.movielens.MovielensSource",
                "variant": "100k",
                "data_dir": "/somewhere/data",
            },
            "users_per_step": 128,
        },
        "split": {"_target_": "datamodules.splits.leave_one_out.LeaveOneOutSplit"},
        "backbone": {"_target_": "lightning_modules.backbones.item_id.ItemIdBackbone"},
        "candidates": {"_target_": "datamodules.candidates.sampled.SampledCandidates", "n_sampled": 256},
        "strategy": {"_target_": f"lightning_modules.strategies.{strategy}.{strategy.title()}Strategy"},
        "head": {"_target_": "lightning_modules.heads.graph.GraphHead", "prior": "none", "dropout": 0.3},
        "loss": {"_target_": "lightning_modules.losses.softmax.SoftmaxLoss"},
        "metrics": {"_target_": "lightning_modules.metrics.protocol.EvaluationProtocol", "mask_history": True},
        "trainer": {"max_epochs": 5},
    }


def few_labels(share, draw=0):
    """What a configuration says of labels of a share of the users."""
    rule = {"_target_": "datamodules.few_shot.ShareOfUsers", "share": share, "draw": draw}
    return {"datamodule": {"few_shot": rule}}


def write_run(
    root, name, ndcg=NDCG["a"], strategy="lora", seed=0, changes=None, provenance=None, overrides=None, **record
):
    """A finished run with one query per value of `ndcg`; a query is a hit where its value is above 0.3."""
    folder = Path(root) / name
    folder.mkdir(parents=True)
    hits = [float(value > 0.3) for value in ndcg]
    cold = [place % 2 == 1 for place in range(len(ndcg))]
    columns = {
        "query": pa.array(range(len(ndcg)), pa.int64()),
        "user": [f"u{place}" for place in range(len(ndcg))],
        "cold": cold,
        "hr@10": hits,
        "ndcg@10": list(map(float, ndcg)),
    }
    pq.write_table(pa.table(columns), folder / "queries-test.parquet")
    of_cold = [value for value, is_cold in zip(ndcg, cold, strict=True) if is_cold]
    metrics = {"test/hr@10": sum(hits) / len(hits), "test/ndcg@10": sum(ndcg) / len(ndcg)}
    metrics["test/cold/ndcg@10"] = sum(of_cold) / len(of_cold)
    cost = {
        "trainable_parameters": 73_728,
        "trainable_share": 0.00325,
        "peak_memory_bytes": 1.5 * 2**30,
        "seconds_per_epoch": 125.0,
        "queries_per_second": 2310.0,
        "checkpoint_bytes": 300_000,
    }
    known = {"data_digest": "d" * 16, "source_digest": source_digest(), "dirty": False, "precision": "32-true"} | (
        provenance or {}
    )
    result = {
        "id": name,
        "status": "done",
        "attempts": 1,
        "overrides": overrides or [f"strategy={strategy}", f"seed={seed}"],
        "config": config(strategy, seed) | (changes or {}),
        "metrics": metrics,
        "intervals": {"test/ndcg@10": [0.25, 0.75], "test/hr@10": [0.5, 1.0]},
        "cost": cost,
        "provenance": known,
    }
    write_json(folder / "config.json", result["config"])
    write_json(folder / "result.json", result | record)
    return folder


def write_failed(root, name, strategy="lora", seed=0, message="CUDA out of memory"):
    error = {"type": "OutOfMemoryError", "message": f"{message}\nsecond line", "traceback": "..."}
    return write_run(root, name, strategy=strategy, seed=seed, status="failed", metrics={}, intervals={}, error=error)


def write_sweep(root, name, jobs):
    """jobs: (id or None, overrides) or (None, overrides, error)."""
    path = Path(root) / "sweeps" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = [dict(zip(("id", "overrides", "error"), job, strict=False)) for job in jobs]
    write_json(path, {"name": name, "overrides": [], "runs": runs})
    return path


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def three_seeds(root):
    """lora: ndcg means .5, .4, .6 (mean .5, sd .1); full: .25, .15, .35 (mean .25, sd .1)."""
    for strategy, values in (("lora", NDCG["a"]), ("full", NDCG["b"])):
        for seed, shift in enumerate((0.0, -0.1, 0.1)):
            write_run(root, f"{strategy}-{seed}", [value + shift for value in values], strategy, seed)
    jobs = [
        (f"{strategy}-{seed}", [f"strategy={strategy}", f"seed={seed}"])
        for strategy in ("lora", "full")
        for seed in range(3)
    ]
    return write_sweep(root, "strategies", jobs)
