"""Hold out each user's last event for the test and the one before for validation."""

import numpy as np

from datamodules.corpus import DataError
from datamodules.preparing.prepared import Prepared, QuerySet, Split

LEAST = 3
"""Events a user needs to be asked: one to learn from, one for validation, one for the test."""


class LeaveOneOutSplit:
    """The protocol of SASRec (Kang & McAuley, ICDM 2018, section IV-A), S3-Rec and most tables of sequential
    recommendation.

    The history of a test query includes the validation event. Users with fewer than 3 events only train. The cut is
    each user's own: one user's training may lie after another's test. Raises `DataError` where no user has 3 events.
    """

    def __call__(self, prepared: Prepared) -> Split:
        """Split in the prepared order, which breaks ties in time by row of reading."""
        end = np.asarray(prepared.offsets[1:])
        asked = np.diff(prepared.offsets) >= LEAST
        if not asked.any():
            raise DataError(
                f"no user of {prepared.name!r} has {LEAST} events, so leave-one-out can ask nothing (the most is "
                f"{int(np.diff(prepared.offsets).max())}); loosen the filters or choose another split"
            )
        train_stop, valid_stop = end - 2 * asked, end - asked
        queries = {
            "valid": QuerySet.following(prepared, train_stop, valid_stop),
            "test": QuerySet.following(prepared, valid_stop, end),
        }
        return Split(train_stop, queries)
