"""How many optimizer steps a run makes, which a schedule has to know at its beginning."""

import math

import pytorch_lightning as pl


def total_steps(trainer: pl.Trainer, batches: int) -> int:
    """Optimizer steps of the whole run, where a process gets so many batches in an epoch.

    The trainer's own estimate would load the data before a resumed run has told its loader where to go on, and it would
    start the epoch anew. Raises ValueError where the run has no end.
    """
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    epoch = math.ceil(batches / trainer.accumulate_grad_batches)
    limits = [] if trainer.max_epochs in (None, -1) else [epoch * trainer.max_epochs]
    limits += [] if trainer.max_steps < 0 else [trainer.max_steps]
    if not limits:
        raise ValueError("a schedule needs to know its end: set trainer.max_epochs or trainer.max_steps")
    return min(limits)
