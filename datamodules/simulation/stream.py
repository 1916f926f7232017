"""What simulated users do: interests drift and jump, items are drawn by them, behaviours tell how well an item fits.

A user's K logits z follow an Ornstein-Uhlenbeck process in days of elapsed time (Blei & Lafferty 2006 let topics drift
by a logistic-normal walk; this one stays in place on average), and at the start of some visits jump to a fresh draw:

    z' = rho z + sqrt(1 - rho^2) focus e,   rho = exp(-gap / drift),   e ~ N(0, I)
    mixture = ((1 - background) softmax(z), background)
    p(item) = mixture @ topics, restricted to items that are available and that the user has not had
"""

from dataclasses import dataclass

import numpy as np

from datamodules.simulation.catalogue import Catalogue

DAY = 86_400.0
LAUNCH = 1_704_067_200.0
"""1 January 2024, 00:00 UTC, when the cold items appear: between each user's last two events and those before."""
AFTER_LAUNCH = 2
SAME_VISIT = 0.5
"""Probability that an event follows within minutes rather than days."""
ROUNDS = 12
"""Rejection rounds before the few users left are drawn from the whole restricted distribution at once."""
BEHAVIOURS = ("browse", "click", "watch", "buy")
# Log-odds of each behaviour at fit 0, and their slope in fit (0 to 1): a misfit is browsed, a good fit watched, bought.
BEHAVIOUR_BIAS, BEHAVIOUR_SLOPE = np.array([2.0, 0.5, -0.5, -2.5]), np.array([-2.5, 0.5, 2.5, 4.0])
# Dwell is log-normal: median seconds at fit 0.5, growing by e over DWELL_SLOPE of fit.
DWELL_SECONDS, DWELL_SLOPE, DWELL_NOISE = np.array([6.0, 25.0, 150.0, 60.0]), 1.2, 0.5


@dataclass(frozen=True)
class Habits:
    """events: mean per user. focus: deviation of the logits. drift: days in which interests lose 1 - 1/e of themselves.
    jump: probability per visit. background: share of draws that have nothing to do with the user."""

    events: int
    focus: float
    drift: float
    jump: float
    background: float


@dataclass(frozen=True)
class Stream:
    """Events of all users in order of time: each an entry of these arrays; mixture: (events, K + 1)."""

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    behaviour: np.ndarray
    dwell: np.ndarray
    mixture: np.ndarray


def make_stream(rng: np.random.Generator, catalogue: Catalogue, users: int, habits: Habits) -> Stream:
    """Draw every user's events, position by position, all users at once."""
    lengths = _lengths(rng, users, habits.events, int((~catalogue.cold).sum()))
    interests, longest = catalogue.affinity.shape[1], int(lengths.max())
    gaps, fresh = _gaps(rng, users, longest)
    had = np.full((users, longest), -1)
    mixtures = np.zeros((users, longest, interests + 1), dtype=np.float32)
    logits = rng.normal(scale=habits.focus, size=(users, interests))
    for position in range(longest):
        active = np.flatnonzero(lengths > position)
        if position:
            move = _drift(rng, logits[active], gaps[active, position], habits)
            jumps = fresh[active, position] & (rng.random(len(active)) < habits.jump)
            move[jumps] = rng.normal(scale=habits.focus, size=(int(jumps.sum()), interests))
            logits[active] = move
        mixtures[active, position] = _mixture(logits[active], habits.background)
        launched = position >= lengths[active] - AFTER_LAUNCH
        had[active, position] = draw_items(rng, catalogue, mixtures[active, position], had[active, :position], launched)
    return _flatten(rng, catalogue, had, _times(rng, gaps, lengths), mixtures)


def _lengths(rng: np.random.Generator, users: int, mean: int, available: int) -> np.ndarray:
    """5 events and a geometric number more, at most four times the mean and at most half of the items there are."""
    drawn = 5 + rng.geometric(1 / (mean - 4), size=users) - 1
    return np.minimum(drawn, min(4 * mean, available // 2))


def _gaps(rng: np.random.Generator, users: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since the event before (mean 5 minutes within a visit, 4 days between two), and where a visit begins."""
    fresh = rng.random((users, longest)) >= SAME_VISIT
    return rng.exponential(np.where(fresh, 4 * DAY, 300.0)) + 1.0, fresh


def _drift(rng: np.random.Generator, logits: np.ndarray, gap: np.ndarray, habits: Habits) -> np.ndarray:
    rho = np.exp(-gap / (habits.drift * DAY))[:, None]
    return rho * logits + np.sqrt(1 - rho**2) * rng.normal(scale=habits.focus, size=logits.shape)


def _mixture(logits: np.ndarray, background: float) -> np.ndarray:
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share *= (1 - background) / share.sum(axis=1, keepdims=True)
    return np.hstack([share, np.full((len(share), 1), background)])


def draw_items(
    rng: np.random.Generator, catalogue: Catalogue, mixture: np.ndarray, had: np.ndarray, launched: np.ndarray
) -> np.ndarray:
    """One item for each of A users, p proportional to mixture @ topics over the items that are there and new to them.

    mixture: (A, K + 1). had: (A, t) items. launched: (A,) bool, cold items are there. By rejection, which needs no
    (A, N) array; for users whom `ROUNDS` rounds leave without an item the whole distribution is made.
    """
    n_items = len(catalogue.cold)
    ladder = np.cumsum(catalogue.topics, axis=1)
    ladder = (ladder / ladder[:, -1:] + np.arange(len(ladder))[:, None]).ravel()
    drawn, left = np.empty(len(mixture), dtype=np.int64), np.arange(len(mixture))
    for _ in range(ROUNDS):
        steps = np.cumsum(mixture[left], axis=1)
        interest = (rng.random((len(left), 1)) * steps[:, -1:] >= steps[:, :-1]).sum(axis=1)
        place = np.searchsorted(ladder, interest + rng.random(len(left)), side="right") - interest * n_items
        pick = np.minimum(place, n_items - 1)
        refused = (had[left] == pick[:, None]).any(axis=1) | (catalogue.cold[pick] & ~launched[left])
        drawn[left[~refused]] = pick[~refused]
        left = left[refused]
        if not len(left):
            return drawn
    for user in left:
        p = mixture[user] @ catalogue.topics * (launched[user] | ~catalogue.cold)
        p[had[user]] = 0.0
        drawn[user] = rng.choice(n_items, p=p / p.sum())
    return drawn


def _times(rng: np.random.Generator, gaps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Cumulated gaps, moved so that the launch falls somewhere between each user's events before and after it."""
    times = np.cumsum(gaps, axis=1)
    row, first_after = np.arange(len(lengths)), lengths - AFTER_LAUNCH
    before, after = times[row, first_after - 1], times[row, first_after]
    return times + (LAUNCH - before - rng.uniform(0.05, 0.95, len(lengths)) * (after - before))[:, None]


def _flatten(
    rng: np.random.Generator, catalogue: Catalogue, had: np.ndarray, times: np.ndarray, mixtures: np.ndarray
) -> Stream:
    user, position = np.nonzero(had >= 0)
    order = np.argsort(times[user, position], kind="stable")
    user, position = user[order], position[order]
    item, mixture = had[user, position], mixtures[user, position]
    share = mixture[:, :-1] / mixture[:, :-1].sum(axis=1, keepdims=True)
    fit = (share * catalogue.affinity[item]).sum(axis=1)
    behaviour, dwell = _reactions(rng, fit)
    return Stream(user, item, times[user, position], behaviour, dwell, mixture)


def _reactions(rng: np.random.Generator, fit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A behaviour (index into `BEHAVIOURS`) and seconds of dwell for events of the given fit, by the Gumbel trick."""
    odds = BEHAVIOUR_BIAS + fit[:, None] * BEHAVIOUR_SLOPE
    behaviour = np.argmax(odds + rng.gumbel(size=odds.shape), axis=1)
    noise = rng.normal(scale=DWELL_NOISE, size=len(fit))
    return behaviour, DWELL_SECONDS[behaviour] * np.exp(DWELL_SLOPE * (fit - 0.5) + noise)
