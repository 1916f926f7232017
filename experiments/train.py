"""Fit, validate and test one recommender, or under -m a sweep of them.

    python -m experiments.train strategy=lora head=graph
    python -m experiments.train -m strategy=frozen,lora,full seed=0,1,2

Every run is a process of its own, which this one starts, watches and outlives. The last line on standard output is the
path of what was made: a run's folder, or the sweep's manifest. Exit status 1 where a run failed, 130 after Ctrl-C; the
reason stands on standard error. Imports no torch, for it is started once per job, unless another metric than the usual
one chooses the epoch.
"""

import hydra
from omegaconf import DictConfig

from experiments.runs.program import make_run, run_program


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def task(config: DictConfig) -> bool:
    """One job."""
    return make_run(config)


def main() -> None:
    """Entry point."""
    run_program(task)


if __name__ == "__main__":
    main()
