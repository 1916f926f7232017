"""Keep the split that the corpus came with."""

from datamodules.corpus import SPLITS, DataError
from datamodules.preparing.prepared import Prepared, QuerySet, Split


class GivenSplit:
    """Training events are those marked so; one query per user asks for all of its validation (test) events at once.

    The history of a test query includes the validation events. Users without training or without held-out events are
    not asked. Raises `DataError` where an event carries no mark, and where no user is asked.
    """

    def __call__(self, prepared: Prepared) -> Split:
        """Events are prepared in order of the given split, so each part is a stretch of its user's events."""
        if unmarked := int((prepared.split < 0).sum()):
            raise DataError(
                f"{unmarked:,} of {len(prepared.split):,} events of {prepared.name!r} belong to no split in its files; "
                "choose split=leave_one_out or split=temporal"
            )
        ends = [prepared.ends(prepared.split <= part) for part in range(len(SPLITS))]
        queries = {name: QuerySet.following(prepared, ends[i], ends[i + 1]) for i, name in enumerate(SPLITS[1:])}
        for name, asked in queries.items():
            if not len(asked.user):
                raise DataError(
                    f"no user of {prepared.name!r} has both a history and events marked {name!r}; choose "
                    "split=leave_one_out, or give the files of that part"
                )
        return Split(ends[0], queries)
