"""What a program says where its input is at fault: one sentence on standard error, and no traceback."""

import os
import sys
import warnings
from collections.abc import Callable

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def told(program: Callable[[], None], name: str) -> int:
    """Exit status of a program: 0; 1 where input or a folder was at fault, which is told in one line on standard error.

    Warnings, too, take one line.
    """
    with warnings.catch_warnings():
        warnings.showwarning = tell_warning
        try:
            program()
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read it has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # at exit Python would flush once more
        except (ValueError, OSError) as fault:
            print(f"{name}: {sentence(fault)}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"{name}: interrupted", file=sys.stderr)
            return INTERRUPTED
    return 0


def sentence(fault: ValueError | OSError) -> str:
    """The fault in words. `ValueError` and what derives from it (`DataError`, `ConfigError`) say it themselves; of an
    error of the file system we say the place and what can be done."""
    if isinstance(fault, ValueError) or fault.filename is None:
        return str(fault)
    way_out = "give another folder (--out, or runs_dir and cache_dir for runs and caches), or make this one writable"
    return f"{fault.filename}: {(fault.strerror or 'cannot be used').lower()}; {way_out}"


def tell_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """One line on standard error, where a person can do something about it."""
    if issubclass(category, UserWarning):  # the others are for developers
        print(f"warning: {message}", file=sys.stderr)
