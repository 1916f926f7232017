"""A child ends when its parent does, however that ended.

On Linux the kernel sends the signal (prctl); elsewhere a thread looks after the parent.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "INTERESTLAB_PARENT"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOOK_SECONDS = 1.0
SCHEDULER_SIGNALS = frozenset({signal.SIGTERM, signal.SIGCONT, signal.SIGUSR1, signal.SIGUSR2})


def tie_to_parent() -> None:
    """Tie this process to the one that set `VARIABLE`, and what it starts to itself. Without the variable (a job
    started by hand) nothing is tied to the shell, but children of this process still are to it."""
    expected = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(os.getpid())  # ranks of a distributed run are children of this process
    if expected is None:
        return
    if not _signal_on_parents_death():
        threading.Thread(target=_watch, args=(int(expected),), daemon=True).start()
    if os.getppid() != int(expected):  # it died before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def tie_worker() -> None:
    """Tie a worker that a launcher started for the jobs of a sweep (joblib's) to the sweep's main process.

    A worker calls our jobs and no program of ours, so each job asks. It has `VARIABLE` from the main process, and that
    is its parent until it is tied. Nobody else's is: the main process has its own number there, as has a tied worker,
    and those of Ray and Slurm, which look after them, are children of others.
    """
    if os.environ.get(VARIABLE) == str(os.getppid()):
        tie_to_parent()


def _signal_on_parents_death() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def tied() -> dict[str, str]:
    """The environment of a child that calls `tie_to_parent`."""
    return os.environ | {VARIABLE: str(os.getpid())}


def deaf() -> bool:
    """Whether children of this process do not hear the scheduler: within a job that submitit gave to Slurm."""
    return os.environ.get("SUBMITIT_EXECUTOR") == "slurm"


@contextmanager
def without_scheduler_signals() -> Iterator[None]:
    """A child that is started within leaves it to its parent what becomes of a job that Slurm preempts.

    Slurm signals every process of a job. A child that ended by itself would be a failure to its parent, which alone can
    have the job queued again. Blocked rather than ignored: Lightning replaces an ignored signal's handler.
    """
    if not deaf():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SCHEDULER_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_scheduler() -> None:
    """For what such a child starts to outlive it: a block is inherited, and nobody could end that process by it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SCHEDULER_SIGNALS)
