"""No tracker stops a run: its result is worth more than its being shown."""

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

log = logging.getLogger(__name__)
ACCOUNT = re.compile(r"//[^/\s]+@")
"""Name and password before an address's host."""


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


class Losable:
    """A logger that may lose its tracker; then it is silent."""

    lost = False

    def give_up(self) -> None:
        """Nothing more is tried."""
        self.lost = True


class Nothing:
    """Takes all that a tracker's run takes, down to `run.config.update(...)`, and does nothing."""

    def __getattr__(self, _: str) -> "Nothing":
        return self

    def __call__(self, *_: Any, **__: Any) -> "Nothing":
        return self


def unless_lost(tracker: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Guards a method of a `Losable` logger that talks to its tracker: where that fails the reason is told once, and
    nothing more is tried. Lightning calls loggers within its loop, where no caller of ours could catch it."""

    def guarded(method: Callable[..., None]) -> Callable[..., None]:
        @wraps(method)
        def tried(self: Losable, *given: Any, **named: Any) -> None:
            if self.lost:
                return
            try:
                method(self, *given, **named)
            except Exception as error:  # noqa: BLE001  # each tracker has errors of many kinds
                self.give_up()
                reason = ACCOUNT.sub("//", str(error)) or type(error).__name__
                warnings.warn(f"{tracker} failed, so that the run goes on without it: {reason}", stacklevel=2)

        return tried

    return guarded
