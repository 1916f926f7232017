"""What the programs that ask a run have in common: who is asked for, and how a fault is told."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.asking.moment import moment

if TYPE_CHECKING:  # importing it takes seconds, and --help needs none of it
    from experiments.asking.questions import Questions
    from experiments.loading import LoadedRun

HISTORY = """\
a history FILE:
  A table with a header, tab-separated, or comma-separated where the name ends in .csv; one event a line, oldest first.
    item or title   what it was (one of the two)
    user            a name of your own, where the file holds several histories
    behaviour       a kind that the corpus has, such as click
    time            seconds since 1970, or a date such as 2024-05-31T18:30 (UTC); of every event or of none
    strength        in the corpus's unit: a rating, seconds of dwell

titles:
  The same words; else the same up to a bracket at the end; else the only title that begins with them; else the only one
  that holds them. Case does not count. Where several fit, the message lists them.
"""


def add_question(parser: argparse.ArgumentParser, several: bool) -> None:
    """RUN_DIR, and exactly one way of saying who asks."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = HISTORY
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the folder of a finished run")
    who = parser.add_mutually_exclusive_group(required=True)
    more = {"nargs": "+"} if several else {"nargs": 1}
    who.add_argument("--user", **more, metavar="KEY", help="of the corpus, with its whole history there")
    who.add_argument("--items", metavar="ID,ID,...", help="the history of somebody new, as item ids, oldest first")
    who.add_argument("--titles", nargs="+", metavar="TITLE", help="the same as titles")
    who.add_argument("--history", type=Path, metavar="FILE", help="the same from a table (see below)")
    parser.add_argument(
        "--now", type=_moment, metavar="TIME", help="when they ask, as in a table (default: at their last event)"
    )
    parser.add_argument("--repeat", action="store_true", help="items of the history may be recommended again")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="default: RUN_DIR/best.ckpt")


def questions_of(options: argparse.Namespace, run: "LoadedRun") -> "Questions":
    """The question that the options ask. Items that the corpus lacks are named on standard error."""
    from experiments.asking.history import of_keys, of_titles
    from experiments.asking.history_file import read_histories
    from experiments.asking.questions import of_histories, of_users

    if options.user:
        questions = of_users(run.data, options.user)
    elif options.titles:
        questions = of_histories(run.data, [of_titles(options.titles, run.catalogue)])
    elif options.history:
        questions = of_histories(run.data, read_histories(options.history, run.catalogue))
    else:
        keys = [key.strip() for key in options.items.split(",") if key.strip()]
        questions = of_histories(run.data, [of_keys(keys, run.catalogue)])
    for user, unknown in zip(questions.users, questions.unknown, strict=True):
        if unknown:
            corpus = run.data.prepared.name
            print(f"warning: left out of the history of {user}, not in {corpus}: {', '.join(unknown)}", file=sys.stderr)
    return questions if options.now is None else questions.at(options.now)


def _moment(text: str) -> float:
    try:
        return moment(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault
