"""What the laws of the model floor run over: every interest and head that conf/ offers, small, and users of unequal
history."""

from dataclasses import replace
from pathlib import Path

import torch
import yaml

from datamodules.types import Events, Queries
from experiments.config.instantiate import instantiate
from lightning_modules.types import Asked

CONF = Path(__file__).resolve().parents[2] / "conf"
N, D, BEHAVIOURS, HISTORY = 30, 8, 4, 24
LENGTHS = (5, 1, 12, 3)
COUNTS = torch.arange(N) % 7
DAY = 86_400.0


def choices(seam):
    """The content of every YAML of conf/SEAM, by stem."""
    return {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted((CONF / seam).glob("*.yaml"))}


INTERESTS, HEADS = sorted(choices("interest")), sorted(choices("head"))
PAIRS = [(interest, head) for interest in INTERESTS for head in HEADS]


def build(seam, name, dim=D, n_items=N, **settings):
    """The part that conf/SEAM/NAME.yaml describes, in eval mode, every parameter moved away from where it starts: what
    starts at zero would hide what it does."""
    facts = {"dim": dim, "n_items": n_items, "n_behaviours": BEHAVIOURS, "history_length": HISTORY}
    facts["item_counts"] = COUNTS if n_items == N else torch.arange(n_items) % 7
    part = instantiate(choices(seam)[name] | settings, **facts).eval()
    return stirred(part)


def stirred(module, seed=1):
    """The module with noise on every parameter that trains."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def draw_events(lengths=LENGTHS, width=None, seed=0, slots=N):
    """Random histories. What lies behind the mask is as random as the rest: it has to mean nothing."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), width or max(lengths))
    mask = torch.arange(shape[1]) < torch.tensor(lengths)[:, None]
    gaps = torch.rand(shape, generator=generator, dtype=torch.float64) * 20 * DAY
    return Events(
        user=torch.arange(len(lengths)),
        slot=torch.randint(slots, shape, generator=generator),
        mask=mask,
        behaviour=torch.randint(BEHAVIOURS, shape, generator=generator),
        strength=torch.randn(shape, generator=generator),
        time=1.7e9 + gaps.cumsum(1),
    )


def ask_everywhere(events):
    """One query at each event, as `next` asks in training."""
    position = torch.arange(events.slot.shape[1]).expand(events.slot.shape)
    return Queries(torch.where(events.mask, position, 0), events.mask, events.time)


def ask_at_the_end(events):
    """One query behind the last event of each user."""
    position = events.mask.sum(1, keepdim=True) - 1
    return Queries(position, torch.ones_like(position, dtype=torch.bool), events.time.gather(1, position))


def rows(events, index):
    """The histories of the given users."""
    return replace(events, **{name: value[index] for name, value in vars(events).items() if value is not None})


def scores(interest, head, vectors, events, queries, ids=None):
    """(Q, C) scores of the items `ids`, of all by default."""
    ids = torch.arange(len(vectors)) if ids is None else ids
    with torch.no_grad():
        asked = Asked(interest(vectors[events.slot], events, queries), queries.mask)
        return head.scores(asked, head.pool(vectors[ids], ids))


def of_user(found, events, user):
    """The rows of one user in the scores of queries that were asked everywhere."""
    counts = events.mask.sum(1)
    start = int(counts[:user].sum())
    return found[start : start + int(counts[user])]


def draw_vectors(n=N, dim=D, seed=0):
    """Random item vectors, centred as an encoder's are."""
    vectors = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    return vectors - vectors.mean(0)


def close(found, expected):
    """Equal up to rounding."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)
