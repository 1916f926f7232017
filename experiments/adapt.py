"""Adapt a language model to the words of a corpus, without labels, or under -m several of them.

    python -m experiments.adapt datamodule=movielens backbone=minilm adaptation=masked
    python -m experiments.train datamodule=movielens backbone=minilm strategy=lora parents=[RUN]

It learns from the texts of the items and from each user's training history in words; a run of `experiments.train` that
names this one as its parent begins with the adapted model. Runs, sweeps, last line and exit status are as those of
`experiments.train`. Imports no torch, for it is started once per job.
"""

import hydra
from omegaconf import DictConfig

from experiments.runs.program import make_run, run_program


@hydra.main(version_base="1.3", config_path="../conf", config_name="adapt")
def task(config: DictConfig) -> bool:
    """One job."""
    return make_run(config)


def main() -> None:
    """Entry point."""
    run_program(task)


if __name__ == "__main__":
    main()
