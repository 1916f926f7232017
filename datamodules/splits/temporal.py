"""Cut the whole log at two moments: train on what lies before, ask for all that comes after."""

import numpy as np

from datamodules.corpus import DataError
from datamodules.preparing.prepared import Prepared, QuerySet, Split


class TemporalSplit:
    """Global temporal split: no training event is later than any test answer.

    valid, test: shares of the events that come last. Events at the very time of a cut stay before it, so the shares
    found can be smaller. A query's history is the user's events up to the cut, its answers all events after it (for
    validation: up to the second cut), also of items seen before. Users without events on either side of a cut are not
    asked. Raises `DataError` where there are no times, where a given split put a user's events out of order, and where
    nothing is asked.
    """

    def __init__(self, valid: float = 0.1, test: float = 0.1) -> None:
        if not (valid > 0 and test > 0 and valid + test < 1):
            raise ValueError(f"shares are valid={valid}, test={test}; both must be above 0 and their sum below 1")
        self.valid, self.test = valid, test

    def __call__(self, prepared: Prepared) -> Split:
        """Cut at the quantiles 1 - valid - test and 1 - test of all times."""
        time = _times(prepared)
        ordered, n_test = np.sort(time), round(self.test * len(time))
        n_valid = round(self.valid * len(time))
        first, second = (ordered[max(len(time) - 1 - held, 0)] for held in (n_valid + n_test, n_test))
        train_stop, valid_stop = prepared.ends(time <= first), prepared.ends(time <= second)
        queries = {
            "valid": QuerySet.following(prepared, train_stop, valid_stop),
            "test": QuerySet.following(prepared, valid_stop, np.asarray(prepared.offsets[1:])),
        }
        for name, asked in queries.items():
            if not len(asked.user):
                raise DataError(
                    f"no user of {prepared.name!r} has events on both sides of the {name} cut at time "
                    f"{first if name == 'valid' else second}; enlarge split.{name} or choose split=leave_one_out"
                )
        return Split(train_stop, queries)


def _times(prepared: Prepared) -> np.ndarray:
    if prepared.time is None:
        raise DataError(f"{prepared.name!r} knows the order of events but no times; choose split=leave_one_out")
    late = np.append(False, prepared.time[1:] < prepared.time[:-1])
    late[prepared.offsets[:-1]] = False
    if late.any():
        user = int(np.searchsorted(prepared.offsets, np.flatnonzero(late)[0], side="right")) - 1
        raise DataError(
            f"the split that comes with {prepared.name!r} puts the events of user {prepared.users[user]!r} out of "
            "order in time, so they cannot be cut at a moment; choose split=given"
        )
    return np.asarray(prepared.time)
