"""Rank one split with a loaded run, as its training did."""

import json
from pathlib import Path
from typing import Any

from datamodules.storage import atomic_write
from experiments.config.instantiate import instantiate
from experiments.fitting import build_trainer
from experiments.loading import LoadedRun
from experiments.quiet import silence
from experiments.results import describe_queries, summarise, write_table
from lightning_modules.evaluation import evaluate
from lightning_modules.slices import Table

ALONE = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
"""One process is enough to rank; the numbers do not depend on how many (law 1)."""


def rank_split(run: LoadedRun, split: str) -> Table:
    """Values of every query of "valid" or "test". A trained model is ranked by its trainer, and so in its precision."""
    if run.module is None:
        protocol: Any = instantiate(run.config["metrics"])
        return evaluate(run.scorer, run.data.blocks(split), run.data.log.n_items, protocol)
    silence()
    config = run.config | {"callbacks": {}, "trainer": run.config["trainer"] | ALONE}
    trainer = build_trainer(config, run.folder, [], [])
    run.data.validation_sample = None
    if split == "valid":
        trainer.validate(run.module, dataloaders=run.data.val_dataloader(), verbose=False)
    else:
        trainer.test(run.module, dataloaders=run.data.test_dataloader(), verbose=False)
    return run.module.table(split)


def describe_ranking(run: LoadedRun, split: str, table: Table) -> tuple[Table, dict[str, Any]]:
    """The queries with user and history length, and what they say: means and intervals."""
    full = describe_queries(table, run.data, split)
    found = summarise(full, run.data.item_counts.numpy(), split)
    return full, {
        "run": run.folder.name,
        "split": split,
        "queries": len(full["query"]),
        "metrics": found.metrics,
        "intervals": found.intervals,
    }


def write_ranking(full: Table, record: dict[str, Any], out: Path) -> None:
    """Write the queries to OUT's name with .parquet, then the record to OUT."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_table(out.with_suffix(".parquet"), full)
    atomic_write(out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
