"""The columns of a prepared corpus as models see them: what was fitted on training events alone is applied here."""

from dataclasses import dataclass

import numpy as np
import torch

from datamodules.preparing.prepared import Prepared, Split
from datamodules.types import Events, Queries, TrainingLog


@dataclass(frozen=True)
class EventLog:
    """Flat columns over all events, users one after the other, each user's events in time order.

    behaviour: number in `behaviours`, which names the kinds that occur in training behind "", the unknown one.
    strength: log(1 + strength) where none is negative, standardised by the training events' mean and deviation, 0 where
    unknown.
    """

    offsets: np.ndarray
    train_stop: np.ndarray
    item: np.ndarray
    behaviour: np.ndarray
    strength: np.ndarray
    time: np.ndarray | None
    n_items: int
    behaviours: tuple[str, ...]

    @classmethod
    def of(cls, prepared: Prepared, split: Split) -> "EventLog":
        """The log of a prepared corpus; statistics come from its training events."""
        train = training_mask(prepared.offsets, split.train_stop)
        behaviour = np.asarray(prepared.behaviour)
        return cls(
            offsets=np.asarray(prepared.offsets),
            train_stop=np.asarray(split.train_stop),
            item=np.asarray(prepared.item),
            behaviour=known_behaviours(behaviour, train),
            strength=standardised(np.asarray(prepared.strength), train),
            time=None if prepared.time is None else np.asarray(prepared.time),
            n_items=len(prepared.item_keys),
            behaviours=tuple(prepared.behaviours[kind] for kind in kinds_of(behaviour, train)),
        )

    def training(self) -> TrainingLog:
        """The training events alone."""
        item = self.item[training_mask(self.offsets, self.train_stop)].astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(self.train_stop - self.offsets[:-1])])
        return TrainingLog(torch.from_numpy(offsets), torch.from_numpy(item), self.n_items)

    def history_rows(self, window: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The text row that each event of a window reads, by its behaviour and item."""
        return row[self.behaviour[window], self.item[window]].astype(np.int64)

    def events(self, window: np.ndarray, mask: np.ndarray, slot: np.ndarray, user: np.ndarray) -> Events:
        """Records of (B, H) flat event indices; what the mask hides becomes zero."""
        return Events(
            user=torch.from_numpy(np.asarray(user, dtype=np.int64)),
            slot=torch.from_numpy(np.where(mask, slot, 0).astype(np.int64)),
            mask=torch.from_numpy(mask),
            behaviour=torch.from_numpy(np.where(mask, self.behaviour[window], 0).astype(np.int64)),
            strength=torch.from_numpy(np.where(mask, self.strength[window], 0).astype(np.float32)),
            time=None if self.time is None else torch.from_numpy(np.where(mask, self.time[window], 0.0)),
        )

    def queries(self, window: np.ndarray, position: np.ndarray, mask: np.ndarray) -> Queries:
        """Asked at (B, T) positions of a window; the time of asking is that of the event at the position."""
        asked = np.take_along_axis(window, position, axis=1)
        return Queries(
            position=torch.from_numpy(position.astype(np.int64)),
            mask=torch.from_numpy(mask),
            time=None if self.time is None else torch.from_numpy(np.where(mask, self.time[asked], 0.0)),
        )


def training_mask(offsets: np.ndarray, train_stop: np.ndarray) -> np.ndarray:
    """(events,) True where an event is a training event."""
    edges = np.zeros(int(offsets[-1]) + 1, dtype=np.int64)
    np.add.at(edges, offsets[:-1], 1)
    np.add.at(edges, train_stop, -1)
    return np.cumsum(edges)[:-1] > 0


def kinds_of(behaviour: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Ids of the kinds that training events show, ascending; 0, unknown, always stands first."""
    return np.union1d([0], behaviour[train]).astype(np.int64)


def known_behaviours(behaviour: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Place of each event's kind among `kinds_of`; 0 for a kind that training never shows."""
    kinds = kinds_of(behaviour, train)
    place = np.searchsorted(kinds, behaviour).clip(max=len(kinds) - 1)
    return np.where(kinds[place] == behaviour, place, 0)


def standardised(strength: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(x - mean) / deviation over the training events, of log(1 + x) where no training value is negative; unknown is
    0."""
    known = np.isfinite(strength)
    fitted = strength[train & known].astype(np.float64)
    if len(fitted) == 0:
        return np.zeros(len(strength), dtype=np.float32)
    positive = bool(fitted.min() >= 0)
    scale = (lambda x: np.log1p(np.maximum(x, 0))) if positive else (lambda x: x)
    mean, deviation = scale(fitted).mean(), scale(fitted).std()
    values = (scale(np.where(known, strength, 0.0)) - mean) / (deviation if deviation > 0 else 1.0)
    return np.where(known, values, 0.0).astype(np.float32)
