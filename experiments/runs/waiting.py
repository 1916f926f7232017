"""Waiting for what another process holds. Whoever watches may end it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

POLL_SECONDS = 1.0


class Stopped(Exception):  # noqa: N818  # somebody's decision, not a fault
    """A run was ended before its end, or before its begin, because whoever watched it wanted that."""


@dataclass
class Patience:
    """Pauses between one try and the next: a wait within the kernel could not be called off. message: said once, on
    standard output, where there is anything to wait for. stop: asked before each pause; where it says yes, `Stopped`
    is raised."""

    message: str = ""
    stop: Callable[[], bool] | None = None

    def pause(self) -> None:
        """Until it is worth another try."""
        if self.message:
            print(self.message, flush=True)
            self.message = ""
        if self.stop is not None and self.stop():
            raise Stopped
        time.sleep(POLL_SECONDS)
