"""A sweep of a two-process job (DDP over gloo) and a one-process job gives each the numbers that it has alone.

    python -m benchmarks.check_ddp

Lightning starts a rank by repeating the command that it was started with; under -m that would be the whole sweep.
"""

import sys
import tempfile
from collections.abc import Sequence

from benchmarks.checking import Check, run
from experiments.runs.read import Run, read_run, read_sweep

JOB = (
    "datamodule.source.users=120",
    "datamodule.source.items=60",
    "datamodule.users_per_step=10",
    "backbone=bert_tiny",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.strategy=ddp",
)
DEVICES = (2, 1)


def main() -> int:
    """Entry point."""
    check = Check("Do jobs of one and of two processes keep their numbers within a sweep?")
    with tempfile.TemporaryDirectory() as folder:
        words = [*JOB, f"cache_dir={folder}/cache"]
        asked = f"trainer.devices={','.join(map(str, DEVICES))}"
        swept = read_sweep(run("experiments.train", ["-m", asked, *words, f"runs_dir={folder}/swept"]).path).runs
        for devices, in_sweep in zip(DEVICES, swept, strict=True):
            alone = run(
                "experiments.train", [f"trainer.devices={devices}", *words, f"runs_dir={folder}/alone{devices}"]
            )
            compare(check, devices, in_sweep, read_run(alone.path))
        processes(check, swept)
    return check.close()


def compare(check: Check, devices: int, in_sweep: Run, alone: Run) -> None:
    """All metrics and intervals, to the last bit."""
    equal = in_sweep.metrics == alone.metrics and in_sweep.intervals == alone.intervals
    found = f"test/ndcg@10 {in_sweep.metrics['test/ndcg@10']} and {alone.metrics['test/ndcg@10']}"
    check.hold(f"{devices} processes, in the sweep and alone", found, f"all {len(alone.metrics)} metrics equal", equal)


def processes(check: Check, swept: Sequence[Run]) -> None:
    """World sizes are as asked, all users are ranked once in both, and training in two processes was another one."""
    sizes = [run.provenance["world_size"] for run in swept]
    check.hold("world sizes", sizes, str(list(DEVICES)), sizes == list(DEVICES))
    users = [run.queries("test").num_rows for run in swept]
    check.hold("users ranked", users, "equal", len(set(users)) == 1)
    ids = {run.id for run in swept}
    check.hold("runs", len(ids), f"{len(DEVICES)} of different name", len(ids) == len(DEVICES))


if __name__ == "__main__":
    sys.exit(main())
