"""What a query may look at, and how long ago it was."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from datamodules.types import Events, Queries

DAY = 86_400.0


def known(events: Events, queries: Queries) -> Bool[Tensor, "B T H"]:
    """True where a history position lies at or before the query's. Rows of invalid queries keep position 0, so that no
    softmax is empty."""
    step = torch.arange(events.slot.shape[1], device=events.slot.device)
    visible = (step <= queries.position[..., None]) & events.mask[:, None, :]
    return visible | ((step == 0) & ~queries.mask[..., None])


def log_steps(events: Events, queries: Queries) -> Float[Tensor, "B T H"]:
    """log(1 + number of events since); 0 for the latest one and for what the query may not see."""
    step = torch.arange(events.slot.shape[1], device=events.slot.device)
    return torch.log1p((queries.position[..., None] - step).clamp(min=0).float())


def log_days(events: Events, queries: Queries) -> Float[Tensor, "B T H"] | None:
    """log(1 + days since the event); None where the corpus has no times."""
    if events.time is None or queries.time is None:
        return None
    # float64 until the difference is taken: seconds since 1970 do not fit into float32
    days = (queries.time[..., None] - events.time[:, None, :]).clamp(min=0) / DAY
    return torch.log1p(days.float())
