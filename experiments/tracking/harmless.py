"""No tracker stops a run: its result is worth more than its being shown."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """What goes wrong within is a warning in the run's log, with reason and traceback; then the run goes on.

    what: that which a tracker is told within.
    """
    try:
        yield
    except Exception as error:  # whatever it is, the run is none the worse
        reason = f"{type(error).__name__}: {error}"
        log.warning("%s was not logged, the run's result is unaffected: %s", what, reason, exc_info=True)
